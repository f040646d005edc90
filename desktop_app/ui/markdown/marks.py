"""Found words in the texts of messages: they are marked, and one of them is the place to scroll to."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from desktop_app.ui.widgets import theme

Text = QTextEdit | QPlainTextEdit


def places_of(text: Text, words: str) -> list[QTextCursor]:
    """Return where words are in a text, whatever their case."""
    cursors: list[QTextCursor] = []
    cursor = QTextCursor(text.document())
    while words and not (cursor := text.document().find(words, cursor)).isNull():
        cursors.append(QTextCursor(cursor))
    return cursors


def mark(texts: Iterable[Text], words: str, current: int = -1) -> tuple[Text, QPoint] | None:
    """Mark words in texts, one place more strongly than the others; return where that one is, in its text's viewport."""
    place: tuple[Text, QPoint] | None = None
    count = 0
    for text in texts:
        selections = []
        for cursor in places_of(text, words):
            if count == current:
                place = (text, text.cursorRect(cursor).center())
            selections.append(_selection(cursor, current=count == current))
            count += 1
        text.setExtraSelections(selections)
    return place


def texts_in(widget: QWidget) -> list[Text]:
    """Return the read-only texts in a message, in the order of reading."""
    texts: list[Text] = [*widget.findChildren(QTextEdit), *widget.findChildren(QPlainTextEdit)]
    shown = [text for text in texts if text.isReadOnly() and text.isVisibleTo(widget)]
    return sorted(shown, key=lambda text: text.mapTo(widget, QPoint(0, 0)).y())


def _selection(cursor: QTextCursor, *, current: bool) -> QTextEdit.ExtraSelection:
    style = QTextCharFormat()
    style.setBackground(QColor(theme.current().found_now if current else theme.current().match))
    style.setForeground(QColor(theme.current().on_found_now if current else theme.current().text))
    selection = QTextEdit.ExtraSelection()
    selection.cursor, selection.format = cursor, style
    return selection
