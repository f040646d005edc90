"""A box for writing a message: grows with its text, sends with Enter, and leaves input methods for Chinese alone."""

from __future__ import annotations

import math
from typing import ClassVar

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QInputMethodEvent, QKeyEvent, QKeySequence, QResizeEvent, QTextOption
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.restyling import restyle

LINE = 36
"""The height of a box with one line, in pixels."""
_MOST_LINES = 9
_MOST = 50_000
_LONGEST_LINE = 10_000
"""Characters of a text, and of one line of it, that are laid out within a frame at every key."""
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_PAGES: dict[int, int] = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1}


def mark_focus(box: QWidget, edit: MessageEdit) -> None:
    """Show the focus ring of a text around the box that it lies in."""

    def mark(focused: bool) -> None:
        box.setProperty("focused", focused)
        restyle(box)

    edit.focused.connect(mark)


class MessageEdit(QPlainTextEdit):
    """A text as high as its lines, up to a limit."""

    enter_sends: ClassVar[bool] = True
    """For all boxes: the user chose one key. Ctrl+Enter always sends."""
    submitted = Signal()
    files_pasted = Signal(list)
    long_text_pasted = Signal(str)
    """A text that `is_long`; it was not inserted."""
    focused = Signal(bool)
    copy_asked = Signal()
    """Ctrl+C, and nothing is selected."""
    undo_asked = Signal()
    """Ctrl+Z, and nothing was typed that could be taken back."""
    delete_asked = Signal()
    """The key that deletes chats, and nothing is written."""
    page_asked = Signal(int)
    """Page Up (-1) or Page Down (1), and all of the text is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._composing = False
        self._hints = ("", "")
        self.setObjectName("composerText")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(6)
        self.viewport().setAutoFillBackground(False)
        self.setAcceptDrops(False)  # a dropped file belongs to the window
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def set_hint(self, text: str, more: str) -> None:
        """Say what an empty box is for, and more where there is room."""
        self._hints = (f"{text} · {more}", text)
        self._show_hint()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Say as much as there is room for."""
        super().resizeEvent(event)
        self._show_hint()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Send with Enter; while an input method composes, Enter is its own."""
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in _ENTER and self._composing:
            return
        if event.key() in _ENTER:
            control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
            if control or (self.enter_sends and modifiers == Qt.KeyboardModifier.NoModifier):
                self.submitted.emit()
                return
            self.insertPlainText("\n")
            self.ensureCursorVisible()
            return
        if event.matches(QKeySequence.StandardKey.Undo) and not self.document().isUndoAvailable():
            self.undo_asked.emit()
        elif SHORTCUTS.matches(event, "delete") and self.document().isEmpty():
            self.delete_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Copy) and not self.textCursor().hasSelection():
            self.copy_asked.emit()
        elif event.key() in _PAGES and not modifiers and self.verticalScrollBar().maximum() == 0:
            self.page_asked.emit(_PAGES[event.key()])
        else:
            super().keyPressEvent(event)

    def inputMethodEvent(self, event: QInputMethodEvent) -> None:  # noqa: N802
        """Remember whether an input method is composing."""
        self._composing = bool(event.preeditString())
        super().inputMethodEvent(event)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802
        """Accept text and files."""
        return source.hasUrls() or source.hasText()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        """Paste text as it is; files and long texts go elsewhere."""
        files = [url.toLocalFile() for url in source.urls() if url.isLocalFile()]
        if files:
            self.files_pasted.emit(files)
        elif source.hasText():
            text = source.text()
            if is_long(text):
                self.long_text_pasted.emit(text)
            else:
                self.insertPlainText(text)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Tell the box."""
        super().focusInEvent(event)
        self.focused.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Tell the box."""
        super().focusOutEvent(event)
        self.focused.emit(False)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the height of the text."""
        return QSize(200, self.height())

    def _show_hint(self) -> None:
        room = self.viewport().width() - 2 * self.document().documentMargin()
        fits = self.fontMetrics().horizontalAdvance(self._hints[0]) < room
        self.setPlaceholderText(self._hints[0] if fits else self._hints[1])

    def _fit(self) -> None:
        margin = 2 * int(self.document().documentMargin())
        most = _MOST_LINES * self.fontMetrics().lineSpacing() + margin
        height = text_height(self, most) + margin
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded if height > most else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        height = min(height, most)
        gap = max(0, LINE - height) // 2  # one line stands in the middle of the button's height
        self.setViewportMargins(0, gap, 0, gap)
        self.setFixedHeight(max(LINE, height))


def is_long(text: str) -> bool:
    """Return whether laying a text out would hold the window up."""
    return len(text) > _MOST or (len(text) > _LONGEST_LINE and max(map(len, text.split("\n"))) > _LONGEST_LINE)


def text_height(edit: QPlainTextEdit, limit: float = math.inf) -> int:
    """Return the height of a text in pixels, read until `limit`: lines with Chinese may be higher than others."""
    # Qt counts the margin below the text as a part of its last line, and scrolls where not one pixel more is there.
    height = 1 - edit.document().documentMargin()
    block = edit.document().begin()
    while block.isValid() and height <= limit:
        height += edit.document().documentLayout().blockBoundingRect(block).height()
        block = block.next()
    return math.ceil(height)
