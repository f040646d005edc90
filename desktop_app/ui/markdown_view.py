"""Markdown as a column of widgets: texts, code boxes and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop_app.ui.code_box import CodeBox
from desktop_app.ui.markdown import Block, StreamingParser
from desktop_app.ui.rich_text import RichText, TableText


class MarkdownView(QWidget):
    """Markdown as a column of text, code boxes and tables; widgets that did not change are kept."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._parser = StreamingParser()
        self._text = ""
        self._parts: list[QWidget] = []
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
        runs = [(kind, list(blocks)) for kind, blocks in _runs(self._parser.update(text))]
        for index, (kind, blocks) in enumerate(runs):
            _fill(self._part(index, _WIDGETS[kind]), blocks)
        for part in self._parts[len(runs) :]:
            part.hide()
            part.deleteLater()
        del self._parts[len(runs) :]

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
