"""Markdown as a column of widgets: texts, code boxes and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.ui.code_box import CodeBox
from desktop_app.ui.markdown import Block, StreamingParser
from desktop_app.ui.rich_text import RichText, TableText

_PAUSE_MS = 4
_AT_ONCE = 0.005
"""Seconds for making widgets before the window takes its turn."""


class MarkdownView(QWidget):
    """Markdown as a column of text, code boxes and tables; widgets that did not change are kept."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._parser = StreamingParser()
        self._text = ""
        self._runs: list[tuple[str, list[Block]]] = []
        self._parts: list[QWidget] = []
        self._next = 0
        self._builder = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._builder.timeout.connect(self._build)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(12)

    @property
    def has_text(self) -> bool:
        """Something is shown."""
        return bool(self._text.strip())

    def set_text(self, text: str) -> None:
        """Show a text, most often one that grew."""
        if text == self._text:
            return
        if not text.startswith(self._text):
            self._parser = StreamingParser()
        self._text = text
        self._runs = _runs(self._parser.update(text))
        for part in self._parts[len(self._runs) :]:
            part.hide()
            part.deleteLater()
        del self._parts[len(self._runs) :]
        self._next = 0
        self._build()

    def _build(self) -> None:
        """Fill the parts from `_next` on; a long text goes on after the window had its turn."""
        end = time.perf_counter() + _AT_ONCE
        while self._next < len(self._runs) and time.perf_counter() < end:
            kind, blocks = self._runs[self._next]
            _fill(self._part(self._next, _WIDGETS[kind]), blocks)
            self._next += 1
        if self._next < len(self._runs):
            self._builder.start()

    def _part(self, index: int, kind: Callable[[], QWidget]) -> QWidget:
        if index < len(self._parts):
            if type(self._parts[index]) is kind:
                return self._parts[index]
            old = self._parts[index]
            self._parts[index] = kind()
            self._layout.replaceWidget(old, self._parts[index])
            old.hide()
            old.deleteLater()
        else:
            self._parts.append(kind())
            self._layout.addWidget(self._parts[index])
        return self._parts[index]


_WIDGETS: dict[str, Callable[[], QWidget]] = {"text": RichText, "code": CodeBox, "table": TableText}


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Group neighbours that share a widget: texts; each code and each table has its own."""
    runs: list[tuple[str, list[Block]]] = []
    for kind, group in groupby(blocks, key=lambda block: block.kind if block.kind in ("code", "table") else "text"):
        members = list(group)
        runs += [(kind, members)] if kind == "text" else [(kind, [member]) for member in members]
    return runs


def _fill(widget: QWidget, blocks: list[Block]) -> None:
    if isinstance(widget, CodeBox):
        widget.set_code(blocks[0].text, blocks[0].language)
    elif isinstance(widget, RichText):
        widget.set_blocks(blocks)
