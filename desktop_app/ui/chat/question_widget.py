"""The user's message in a bubble, and the box in which it is changed."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from desktop_app.chat.conversation import Message
from desktop_app.ui.chat.message_edit import MessageEdit, mark_focus
from desktop_app.ui.chat.message_field import MessageField
from desktop_app.ui.chat.message_widget import MessageWidget, Versions
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.markdown.rich_text import RichText
from desktop_app.ui.widgets.icons import PADDING, IconButton

_MEASURED = 400
_FIRST, _PART = 3000, 6000
"""Characters of a long message that are shown at first, when its reply is made as well, and with each click."""
_BUBBLE_PADDING = 30
_BUBBLE_SHARE = 0.82


class QuestionWidget(MessageWidget):
    """The user's message, which can be edited and sent again."""

    edited = Signal(str, str)

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._bubble = QFrame()
        self._bubble.setObjectName("bubble")
        self._inside = QVBoxLayout(self._bubble)
        self._inside.setContentsMargins(14, 5, 14, 11)  # the lines' extra height is above them
        self._inside.setSpacing(0)
        self._shown = 0
        self._natural = 0
        self._more: QPushButton | None = None  # made for long messages only
        self._show_more()
        self._edit = IconButton("edit", size=16)
        self._edit.clicked.connect(self.begin_editing)
        self._editor: _Editor | None = None  # made when it is needed: most questions are never changed
        self._busy = False
        self._actions.addStretch()
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._edit)
        self.add_versions()
        self._column = QVBoxLayout()
        self._column.setContentsMargins(PADDING, 0, PADDING, 0)  # the icons below are in line with the bubble
        self._column.addWidget(self._bubble, 0, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.setSpacing(3)
        layout.addLayout(self._column)
        layout.addLayout(self._actions)
        self.retranslate()

    @property
    def is_edited(self) -> bool:
        """The box in which it is changed is open."""
        return self._editor is not None

    def set_busy(self, busy: bool) -> None:
        """Nothing can be edited while a reply is written."""
        self._busy = busy
        self._edit.setEnabled(not busy)
        if self._editor is not None:
            self._editor.set_busy(busy)

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self.setAccessibleName(self.tr("You wrote"))
        self._edit.set_words(self.tr("Edit"))
        self._name_more()
        if self._editor is not None:
            self._editor.retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep the bubble as wide as its text, within limits."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self._bubble.setFixedWidth(max(48, min(self._natural, int(self.width() * _BUBBLE_SHARE))))

    def _show_more(self) -> None:
        """Show the next part of the message: as much as is laid out within a frame."""
        content, start = self.message.content, self._shown
        end = self._shown = _end_of_part(content, start)
        part = content[start:end] if end == len(content) else content[start:end].removesuffix("\n")
        text = RichText()
        text.set_plain(part)
        metrics = text.fontMetrics()
        widest = max(metrics.horizontalAdvance(line[:_MEASURED].expandtabs()) for line in part.split("\n"))
        self._natural = max(self._natural, widest + _BUBBLE_PADDING + 4)
        self._inside.insertWidget(self._inside.count() - (self._more is not None), text)
        if self._more is None and end < len(content):
            self._more = QPushButton()
            self._more.setObjectName("more")
            self._more.clicked.connect(self._show_more)
            self._inside.addWidget(self._more, 0, Qt.AlignmentFlag.AlignLeft)
        self._fit()
        self._name_more()

    def _name_more(self) -> None:
        if self._more is not None:
            left = len(self.message.content) - self._shown
            self._more.setText(self.tr("Show more ({count} characters)").format(count=number(left, 0)))
            self._more.setVisible(left > 0)
            self._natural = max(self._natural, self._more.sizeHint().width() + _BUBBLE_PADDING)

    def begin_editing(self) -> None:
        """Open the box in which the message is changed."""
        if self._editor is not None:
            return
        self._editor = editor = _Editor()
        editor.cancelled.connect(self._end_editing)
        editor.confirmed.connect(self._confirm)
        editor.set_busy(self._busy)
        self._column.insertWidget(0, editor)
        editor.show()  # now, so that it can take the keyboard
        self._show_text(False)
        editor.begin(self.message.content)

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


def _end_of_part(text: str, start: int) -> int:
    """Return where a part of a long text ends: after a line, if there is one in its second half."""
    size = _PART if start else _FIRST
    if len(text) - start <= size + size // 2:
        return len(text)
    line = text.rfind("\n", start + size // 2, start + size)
    return line + 1 if line >= 0 else start + size


class _Editor(QFrame):
    """The box in which a question is changed."""

    confirmed = Signal(str)
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._text = MessageEdit()
        self._text.submitted.connect(self._confirm)
        self._field = MessageField(self._text)
        self._field.changed.connect(self._refresh)
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
        layout.addWidget(self._field)
        layout.addLayout(buttons)
        self.retranslate()

    def begin(self, text: str) -> None:
        self._field.set_text(text)
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
        self._send.setEnabled(not self._busy and not self._field.is_blank)

    def _confirm(self) -> None:
        if self._send.isEnabled():
            self.confirmed.emit(self._field.text.strip())
