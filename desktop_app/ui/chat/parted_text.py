"""A plain text of any length, shown part by part: as much at a time as is laid out within a frame."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from desktop_app.ui.i18n.formats import number
from desktop_app.ui.markdown.rich_text import RichText

_MEASURED = 400
_FIRST, _PART = 3000, 6000
"""Characters that are shown at first and with each click."""


class PartedText(QWidget):
    """A text with a button below it that shows more."""

    widened = Signal()
    """`natural_width` may have changed."""

    def __init__(self, text: str) -> None:
        """Show the beginning."""
        super().__init__()
        self._text = text
        self._shown = 0
        self._more: QPushButton | None = None  # made for long texts only
        self.natural_width = 0
        """Of the lines shown so far, in pixels."""
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._show_more()

    def show_all(self) -> None:
        """Show what is left."""
        while self._shown < len(self._text):
            self._show_more()

    def retranslate(self) -> None:
        """Write every word again."""
        if self._more is not None:
            left = len(self._text) - self._shown
            self._more.setText(self.tr("Show more ({count} characters)").format(count=number(left, 0)))
            self._more.setVisible(left > 0)
            self.natural_width = max(self.natural_width, self._more.sizeHint().width())

    def _show_more(self) -> None:
        content, start = self._text, self._shown
        end = self._shown = _end_of_part(content, start)
        part = content[start:end] if end == len(content) else content[start:end].removesuffix("\n")
        text = RichText()
        text.set_plain(part)
        metrics = text.fontMetrics()
        widest = max(metrics.horizontalAdvance(line[:_MEASURED].expandtabs()) for line in part.split("\n"))
        self.natural_width = max(self.natural_width, widest + 4)
        self._column.insertWidget(self._column.count() - (self._more is not None), text)
        if self._more is None and end < len(content):
            self._more = QPushButton()
            self._more.setObjectName("more")
            self._more.clicked.connect(self._show_more)
            self._column.addWidget(self._more, 0, Qt.AlignmentFlag.AlignLeft)
        self.retranslate()
        self.widened.emit()


def _end_of_part(text: str, start: int) -> int:
    """Return where a part of a long text ends: after a line, if there is one in its second half."""
    size = _PART if start else _FIRST
    if len(text) - start <= size + size // 2:
        return len(text)
    line = text.rfind("\n", start + size // 2, start + size)
    return line + 1 if line >= 0 else start + size
