"""The user's message in a bubble, and the box in which it is changed."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from desktop_app.chat.attachment import Draft
from desktop_app.chat.conversation import Message
from desktop_app.ui.chat.attachment_chip import AttachmentChip
from desktop_app.ui.chat.message_edit import MessageEdit, mark_focus
from desktop_app.ui.chat.message_field import MessageField
from desktop_app.ui.chat.message_widget import MessageWidget, Versions
from desktop_app.ui.chat.parted_text import PartedText
from desktop_app.ui.chat.reading_mark import Reading, ReadingMark
from desktop_app.ui.widgets import look
from desktop_app.ui.widgets.enabling import REPLYING, UNWRITTEN, enable
from desktop_app.ui.widgets.icons import PADDING, IconButton

_BUBBLE_PADDING = 30
_BUBBLE_SHARE = 0.82


class QuestionWidget(MessageWidget):
    """The user's message, which can be edited and sent again."""

    edited = Signal(str, Draft)
    reading_reset = Signal()
    """The model is to read all of the chat again."""

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._bubble = QFrame()
        self._bubble.setObjectName("bubble")
        self._inside = QVBoxLayout(self._bubble)
        self._inside.setContentsMargins(14, 5, 14, 11)  # the lines' extra height is above them
        self._inside.setSpacing(0)
        self._text = PartedText(message.content)
        self._text.widened.connect(self._fit)
        self._inside.addWidget(self._text)
        self._chips = [AttachmentChip(one, removable=False) for one in message.attachments]
        self._edit = IconButton("edit", size=16)
        self._edit.clicked.connect(self.begin_editing)
        self._editor: _Editor | None = None  # made when it is needed: most questions are never changed
        self._mark: ReadingMark | None = None
        self._busy = False
        self._actions.addStretch()
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._edit)
        self._actions.addWidget(self._more)
        self.add_versions()
        self._column = QVBoxLayout()
        self._column.setContentsMargins(PADDING, 0, PADDING, 0)  # the icons below are in line with the bubble
        self._column.setSpacing(4)
        for chip in self._chips:
            self._column.addWidget(chip, 0, Qt.AlignmentFlag.AlignRight)
        self._column.addWidget(self._bubble, 0, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        gap = look.current().message_gap
        layout.setContentsMargins(0, gap, 0, gap)
        layout.setSpacing(3)
        layout.addLayout(self._column)
        layout.addLayout(self._actions)
        self._layout = layout
        self._show_text(True)
        self.retranslate()

    @property
    def is_edited(self) -> bool:
        """The box in which it is changed is open."""
        return self._editor is not None

    @property
    def answer(self) -> QWidget:
        """The question's text."""
        return self._bubble

    def show_all(self) -> None:
        """Show every part of a long message."""
        self._text.show_all()

    def mark_reading(self, reads: Reading) -> None:
        """Say above the question that the model reads from here on, if it does."""
        here = self.message.id in (reads.start, reads.fitting)
        if here and self._mark is None:
            self._mark = ReadingMark(self)
            self._mark.undone.connect(self.reading_reset)
            self._layout.insertWidget(0, self._mark)
        if self._mark is not None:
            chosen = self.message.id == reads.start
            self._mark.show_choice(chosen=chosen, summarised=reads.summarised)
            self._mark.setVisible(here)

    def set_busy(self, busy: bool) -> None:
        """Nothing can be edited while a reply is written."""
        self._busy = busy
        enable(self._edit, {REPLYING: busy})
        self.set_changeable(not busy)
        if self._editor is not None:
            self._editor.set_busy(busy)

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self.setAccessibleName(self.tr("You wrote"))
        self._edit.set_words(self.tr("Edit"))
        self._text.retranslate()
        if self._mark is not None:
            self._mark.retranslate()
        if self._editor is not None:
            self._editor.retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep the bubble as wide as its text, within limits."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        natural = self._text.natural_width + _BUBBLE_PADDING
        self._bubble.setFixedWidth(max(48, min(natural, int(self.width() * _BUBBLE_SHARE))))

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
        editor.begin(self.message.written)

    def _confirm(self, draft: Draft) -> None:
        self._end_editing()
        self.edited.emit(self.message.id, draft)

    def _end_editing(self) -> None:
        if self._editor is not None:
            self._editor.hide()
            self._editor.deleteLater()
            self._editor = None
        self._show_text(True)

    def _show_text(self, shown: bool) -> None:
        for widget in (*self._chips, self._copy, self._edit, self._more):
            widget.setVisible(shown)
        self._bubble.setVisible(shown and bool(self.message.content))


class _Editor(QFrame):
    """The box in which a question is changed."""

    confirmed = Signal(Draft)
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

    def begin(self, draft: Draft) -> None:
        self._field.set_draft(draft)
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
        enable(self._send, {REPLYING: self._busy, UNWRITTEN: self._field.is_blank})

    def _confirm(self) -> None:
        if self._send.isEnabled():
            self.confirmed.emit(self._field.draft)
