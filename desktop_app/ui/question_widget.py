"""The person's message in a bubble, and the box in which it is changed."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from desktop_app.conversation import Message
from desktop_app.ui.icons import PADDING, IconButton
from desktop_app.ui.message_edit import MessageEdit, mark_focus
from desktop_app.ui.message_widget import MessageWidget, Versions
from desktop_app.ui.rich_text import RichText

_MEASURED = 400
_BUBBLE_PADDING = 30
_BUBBLE_SHARE = 0.82


class QuestionWidget(MessageWidget):
    """The person's message, which can be edited and sent again."""

    edited = Signal(str, str)

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._bubble = QFrame()
        self._bubble.setObjectName("bubble")
        self._text = RichText()
        self._text.set_plain(message.content)
        inside = QVBoxLayout(self._bubble)
        inside.setContentsMargins(14, 7, 14, 9)
        inside.addWidget(self._text)
        self._edit = IconButton("edit", size=16)
        self._edit.clicked.connect(self._begin_editing)
        self._editor: _Editor | None = None  # made when it is needed: most questions are never changed
        self._busy = False
        self._actions.setContentsMargins(0, 0, -PADDING, 0)
        self._actions.addStretch()
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._edit)
        self.add_versions()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.setSpacing(3)
        layout.addWidget(self._bubble, 0, Qt.AlignmentFlag.AlignRight)
        layout.addLayout(self._actions)
        self.retranslate()

    def set_busy(self, busy: bool) -> None:
        """Nothing can be edited while a reply is written."""
        self._busy = busy
        self._edit.setEnabled(not busy)
        if self._editor is not None:
            self._editor.set_busy(busy)

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self._edit.set_words(self.tr("Edit"))
        if self._editor is not None:
            self._editor.retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep the bubble as wide as its text, within limits."""
        super().resizeEvent(event)
        metrics = self._text.fontMetrics()
        lines = self.message.content.split("\n")
        natural = max(metrics.horizontalAdvance(line[:_MEASURED].expandtabs()) for line in lines) + _BUBBLE_PADDING + 4
        self._bubble.setFixedWidth(max(48, min(natural, int(self.width() * _BUBBLE_SHARE))))

    def _begin_editing(self) -> None:
        self._editor = editor = _Editor()
        editor.cancelled.connect(self._cancel_editing)
        editor.confirmed.connect(self._confirm)
        editor.set_busy(self._busy)
        layout = cast(QVBoxLayout, self.layout())
        layout.insertWidget(layout.indexOf(self._bubble), editor)
        editor.show()  # now, so that it can take the keyboard
        self._show_text(False)
        editor.begin(self.message.content)

    def _cancel_editing(self) -> None:
        self._end_editing()
        self._edit.setFocus()

    def _confirm(self, text: str) -> None:
        self._end_editing()
        self.edited.emit(self.message.id, text)

    def _end_editing(self) -> None:
        if self._editor is not None:
            self._editor.hide()
            self._editor.deleteLater()
            self._editor = None
        self._show_text(True)

    def _show_text(self, shown: bool) -> None:
        for widget in (self._bubble, self._copy, self._edit):
            widget.setVisible(shown)


class _Editor(QFrame):
    """The box in which a question is changed."""

    confirmed = Signal(str)
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._text = MessageEdit()
        self._text.submitted.connect(self._confirm)
        self._text.textChanged.connect(self._refresh)
        mark_focus(self, self._text)
        self._send = QPushButton()
        self._send.setObjectName("primary")
        self._send.clicked.connect(self._confirm)
        self._cancel = QPushButton()
        self._cancel.clicked.connect(self.cancelled)
        self._busy = False
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._cancel)
        buttons.addWidget(self._send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 10, 10)
        layout.addWidget(self._text)
        layout.addLayout(buttons)
        self.retranslate()

    def begin(self, text: str) -> None:
        self._text.setPlainText(text)
        self._text.moveCursor(self._text.textCursor().MoveOperation.End)
        self._text.setFocus()

    def set_busy(self, busy: bool) -> None:
        self._busy = busy
        self._refresh()

    def retranslate(self) -> None:
        self._send.setText(self.tr("Send"))
        self._cancel.setText(self.tr("Cancel"))
        self._text.setAccessibleName(self.tr("Message"))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and cast(QKeyEvent, event).key() == Qt.Key.Key_Escape:
            event.accept()  # here it cancels; elsewhere it is the window's shortcut
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        if event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def _refresh(self) -> None:
        self._send.setEnabled(not self._busy and bool(self._text.toPlainText().strip()))

    def _confirm(self) -> None:
        if self._send.isEnabled():
            self.confirmed.emit(self._text.toPlainText().strip())
