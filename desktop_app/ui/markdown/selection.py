"""The selection in the messages: in one text at a time, so that there is one thing to copy."""

from __future__ import annotations

import weakref

from PySide6.QtWidgets import QPlainTextEdit, QTextEdit
from shiboken6 import isValid

Text = QTextEdit | QPlainTextEdit


class Selection:
    """Follows the read-only texts, which never have the keyboard."""

    def __init__(self) -> None:
        """Begin with nothing selected."""
        self._text: weakref.ref[Text] | None = None

    def changed(self, text: Text) -> None:
        """Another part of a text is selected: what was selected in another text is not any more."""
        if not text.textCursor().hasSelection():
            return
        other = self._living()
        self._text = weakref.ref(text)
        if other is not None and other is not text:
            cursor = other.textCursor()
            cursor.clearSelection()
            other.setTextCursor(cursor)

    def copy(self) -> None:
        """Copy what is selected."""
        text = self._living()
        if text is not None:
            text.copy()

    def _living(self) -> Text | None:
        text = self._text() if self._text is not None else None
        return text if text is not None and isValid(text) else None


SELECTION = Selection()
"""Of the application: there is one window."""
