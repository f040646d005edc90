"""Markdown as a column of widgets: texts, code boxes and tables."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.sequences import common_prefix
from desktop_app.ui.markdown.code_box import CodeBox
from desktop_app.ui.markdown.parser import Block
from desktop_app.ui.markdown.rich_text import RichText, TableText
from desktop_app.ui.markdown.streaming import StreamingParser

_PAUSE_MS = 4
_AT_ONCE = 0.002
"""Seconds for parsing and making widgets before the window takes its turn."""
_BLOCKS = 10
"""Paragraphs that are drawn in about that time."""
_ROWS = 25
"""Of one table."""
_SETTLED_MS = 300
"""After so long without more text, what was shown as it is is parsed, and links find addresses that came behind them."""
_PIECE = 300
"""Characters that are parsed in about that time."""
_STORED = 400
"""So many at once nobody writes: such a text is parsed to its end, for what settles later moves what is read."""
_LEFT_TO_SETTLE = 5_000
"""More characters than a turn parses."""


class MarkdownView(QWidget):
    """Markdown as a column of text, code boxes and tables; widgets that did not change are kept."""

    citation_opened = Signal(int)
    """A number that stands for a part of a document was clicked."""

    def __init__(self, *, colour: str = "text") -> None:
        """Begin empty; `colour` names the texts' colour in the theme."""
        super().__init__()
        self._colour = colour
        self._sources: Mapping[int, str] = {}
        self._parser = StreamingParser()
        self._text = ""
        self._parsed = 0
        self._is_stored = False
        self._runs: list[tuple[str, list[Block]]] = []
        self._parts: list[QWidget] = []
        self._next = 0
        self._builder = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._builder.timeout.connect(self._build)
        self._settler = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._settler.timeout.connect(self._settle)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(12)

    @property
    def has_text(self) -> bool:
        """Something is shown."""
        return bool(self._text.strip())

    @property
    def is_building(self) -> bool:
        """A part of the text is not shown yet; it will be, a little at a time."""
        return self._builder.isActive()

    @property
    def part_count(self) -> int:
        """Texts, tables and code boxes."""
        return len(self._parts)

    def stop(self) -> None:
        """Show nothing more of what is not shown yet."""
        self._builder.stop()
        self._settler.stop()

    def shrink(self, most: int) -> int:
        """Delete parts of a view that nobody sees any more, from the last on; return how many there were."""
        keep = max(0, len(self._parts) - most)
        gone = len(self._parts) - keep
        self._drop_parts_from(keep)
        return gone

    def set_text(self, text: str) -> None:
        """Show a text, most often one that grew; a long one appears over several turns."""
        if text == self._text:
            return
        if not text.startswith(self._text):
            self._parser, self._parsed = StreamingParser(), 0
        self._text = text
        self._is_stored = len(text) - self._parsed >= _STORED
        self._build()

    def set_citations(self, sources: Mapping[int, str]) -> None:
        """Make links of the numbers that stand for parts of documents; `sources` names each."""
        self._sources = sources
        for part in self._parts:
            if isinstance(part, RichText):
                part.set_citations(sources)

    def _build(self) -> None:
        """Go on for a moment; the rest comes after the window had its turn."""
        end = time.perf_counter() + _AT_ONCE
        while self._step():
            if time.perf_counter() > end:
                self._builder.start()
                return

    def _step(self) -> bool:
        """Fill a part or parse a piece; return False when all is done."""
        is_complete = self._parsed == len(self._text)
        if self._next < len(self._runs) - (not is_complete):  # the last one may still turn into something else
            self._fill_some(*self._runs[self._next])
        elif is_complete:
            self._drop_parts_from(len(self._runs))
            if self._parser.parsed < len(self._text) or self._parser.begun_again() is not None:
                self._settler.start()
            return False
        else:
            self._parsed = min(self._parsed + _PIECE, len(self._text))
            waiting = self._parsed - self._parser.parsed
            final = self._is_stored and self._parsed == len(self._text) and waiting <= _LEFT_TO_SETTLE
            self._show(self._parser.update(self._text[: self._parsed], final=final))
        return True

    def _fill_some(self, kind: str, blocks: list[Block]) -> None:
        """Fill a part, or of one with many paragraphs as many as take no longer than a frame."""
        widget = self._part(self._next, _WIDGETS[kind])
        if isinstance(widget, CodeBox):
            widget.set_code(blocks[0].text, blocks[0].language)
        elif isinstance(widget, RichText):
            count = widget.same_blocks(blocks) + _BLOCKS
            widget.set_blocks(blocks[:count])
            if count < len(blocks):
                return
        self._next += 1

    def _settle(self) -> None:
        if self._parsed < len(self._text):
            return
        self._show(self._parser.update(self._text, final=True))
        if (again := self._parser.begun_again()) is not None:
            self._parser, self._parsed = again, 0
        self._build()

    def _show(self, blocks: list[Block]) -> None:
        runs = _runs(blocks)
        self._next = min(self._next, common_prefix(self._runs, runs))
        self._runs = runs

    def _drop_parts_from(self, index: int) -> None:
        for part in self._parts[index:]:
            part.hide()
            part.deleteLater()
        del self._parts[index:]

    def _part(self, index: int, kind: type[QWidget]) -> QWidget:
        if index < len(self._parts):
            if type(self._parts[index]) is kind:
                return self._parts[index]
            old = self._parts[index]
            self._parts[index] = self._make(kind)
            self._layout.replaceWidget(old, self._parts[index])
            old.hide()
            old.deleteLater()
        else:
            self._parts.append(self._make(kind))
            self._layout.addWidget(self._parts[index])
        return self._parts[index]

    def _make(self, kind: type[QWidget]) -> QWidget:
        made = RichText(colour=self._colour) if kind is RichText else kind()
        if isinstance(made, RichText):
            made.set_citations(self._sources)
            made.citation_opened.connect(self.citation_opened)
        return made


_WIDGETS: dict[str, type[QWidget]] = {"text": RichText, "code": CodeBox, "table": TableText}


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Group neighbours that share a widget: texts; each code and each table has its own."""
    runs: list[tuple[str, list[Block]]] = []
    for kind, group in groupby(blocks, key=lambda block: block.kind if block.kind in ("code", "table") else "text"):
        members = list(group)
        runs += (
            [(kind, members)]
            if kind == "text"
            else [(kind, [part]) for member in members for part in split_table(member)]
        )
    return runs


def split_table(block: Block) -> list[Block]:
    """Return a long table as several with the same head: Qt lays a table out as a whole whenever it changes."""
    head, rows = block.rows[:1], block.rows[1:]
    if len(rows) <= _ROWS:
        return [block]
    return [replace(block, rows=head + rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)]
