"""The input box at the bottom, with the choice of thinking and the button that sends the text or stops the reply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QEvent, QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.ui.chat.effort_menu import EffortMenu
from desktop_app.ui.chat.message_edit import LINE, MessageEdit, mark_focus
from desktop_app.ui.chat.message_field import MessageField
from desktop_app.ui.chat.thinking_switch import ThinkingSwitch
from desktop_app.ui.chat.tools_button import ToolsButton
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.enabling import UNWRITTEN, enable
from desktop_app.ui.widgets.icons import IconButton
from desktop_app.ui.widgets.menus import light_only_under_pointer

_NARROW = 420
"""Below this width the choice of thinking shows its icon alone."""


class Composer(QFrame):
    """A box with the text and the button that sends it, or stops the reply under way."""

    edited = Signal()
    sent = Signal(Draft)
    stopped = Signal()
    files_pasted = Signal(list)
    attach_asked = Signal()
    """The paperclip: the user wants to choose files."""
    collections_asked = Signal()
    """The user wants to see the document collections."""
    collections_chosen = Signal(list)
    """The names of those that this chat's answers are looked for in."""
    copy_asked = Signal()
    """Ctrl+C, and nothing is selected in the text."""
    undo_asked = Signal()
    delete_asked = Signal()
    """Ctrl+Z, and nothing was typed that could be taken back."""
    page_asked = Signal(int)
    """Page Up (-1) or Page Down (1): the text has one page."""
    thinking_chosen = Signal(bool)
    effort_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty, with Enter sending."""
        super().__init__(parent)
        self.setObjectName("composer")
        self._busy = False
        self._continues = False
        self._editor = MessageEdit()
        self._editor.submitted.connect(self._send)
        self._editor.files_pasted.connect(self.files_pasted)
        self._editor.copy_asked.connect(self.copy_asked)
        self._editor.undo_asked.connect(self.undo_asked)
        self._editor.delete_asked.connect(self.delete_asked)
        self._editor.page_asked.connect(self.page_asked)
        self._field = MessageField(self._editor)
        self._field.changed.connect(self._refresh)
        self._field.changed.connect(self.edited)
        mark_focus(self, self._editor)
        self._thinking = ThinkingSwitch()
        self._thinking.chosen.connect(self.thinking_chosen)
        self._effort = EffortMenu()
        self._effort.chosen.connect(self.effort_chosen)
        self.tools = ToolsButton()
        self._attach = IconButton("attach", size=18)
        self._attach.setObjectName("attachButton")
        self._attach.setFixedSize(LINE, LINE)
        self._attach.clicked.connect(self._offer)
        self._answers_from = ElidedLabel()
        self._answers_from.setObjectName("muted")
        self._answers_from.hide()
        self._known: tuple[str, ...] = ()
        self._chosen: tuple[str, ...] = ()
        self._button = IconButton("send", colour="on_accent", size=20)
        self._button.setObjectName("sendButton")
        self._button.setFixedSize(LINE, LINE)
        self._button.clicked.connect(self._clicked)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._attach, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self._field, 1)
        for choice in (self.tools, self._thinking, self._effort):
            choice.setFixedHeight(LINE)
            row.addWidget(choice, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self._button, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self._answers_from)
        layout.addLayout(row)
        self.setFocusProxy(self._editor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._retranslate()

    @property
    def draft(self) -> Draft:
        """The message as far as it is written."""
        return self._field.draft

    def set_draft(self, draft: Draft) -> None:
        """Replace the message; the cursor goes to the end."""
        self._field.set_draft(draft)

    def let_undo_go(self) -> None:
        """Let the next Ctrl+Z undo what was done elsewhere, not what was typed before."""
        self._editor.document().clearUndoRedoStacks()

    def attach(self, attachment: Attachment) -> None:
        """Put a file or another text into the message."""
        self._field.attach(attachment)

    def set_busy(self, busy: bool) -> None:
        """Show the stop button while a reply is being written."""
        self._busy = busy
        self._retranslate()

    def set_continues(self, continues: bool) -> None:
        """Ask for the beginning of a text: the model is a base model, which continues it."""
        self._continues = continues
        self._retranslate()

    def set_context(self, context: int) -> None:
        """Let attachments say how much of the model's context they take; 0: that is not known."""
        self._field.set_context(context)

    def set_collections(self, known: Sequence[str], chosen: Sequence[str]) -> None:
        """Offer collections of documents, and show those that this chat uses."""
        self._known, self._chosen = tuple(known), tuple(chosen)
        self._answers_from.set_whole(self.tr("Answers from: {names}").format(names=", ".join(chosen)) if chosen else "")
        self._answers_from.setVisible(bool(chosen))

    def show_thinking(self, thinking: bool | None) -> None:
        """Show whether the next reply begins with reasoning; None: the model leaves no choice."""
        self._thinking.show_choice(thinking)

    def show_effort(self, effort: str) -> None:
        """Show how long the next reply thinks; "": the model leaves no choice."""
        self._effort.show_choice(effort)

    def set_send_key(self, key: str) -> None:
        """Send with "enter" or "ctrl_enter"."""
        MessageEdit.enter_sends = key == "enter"
        self._retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Leave the text its room."""
        super().resizeEvent(event)
        for choice in (self._thinking, self._effort):
            choice.set_narrow(self.width() < _NARROW)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._editor.setAccessibleName(self.tr("Message"))
        self._attach.set_words(self.tr("Attach files"), SHORTCUTS.text("attach"))
        self.set_collections(self._known, self._chosen)
        if self._editor.enter_sends:
            keys = self.tr("Enter sends, Shift+Enter begins a new line")
        else:
            keys = self.tr("Ctrl+Enter sends, Enter begins a new line")
        self._editor.setToolTip(keys)
        begin = self.tr("Begin a text, which this model continues") if self._continues else self.tr("Write a message")
        self._editor.set_hint(begin, keys)
        self._refresh()

    def _refresh(self) -> None:
        usable = self._busy or not self._field.is_blank
        self._button.set_icon("stop" if self._busy else "send", "on_accent" if usable else "muted")
        if self._busy:
            self._button.set_words(self.tr("Stop"), SHORTCUTS.text("stop"))
        else:
            self._button.set_words(self.tr("Send"), "Enter" if self._editor.enter_sends else "Ctrl+Enter")
        enable(self._button, {UNWRITTEN: not usable})

    def _offer(self) -> None:
        """Offer what may go into the message."""
        menu = QMenu(self)
        menu.setObjectName("attachMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("Attach files…")).triggered.connect(self.attach_asked)
        menu.addAction(self.tr("Document collections…")).triggered.connect(self.collections_asked)
        if self._known:
            menu.addSection(self.tr("Answer from"))
        for name in self._known:
            action = menu.addAction(name.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(name in self._chosen)
            action.toggled.connect(partial(self._choose_collection, name))
        light_only_under_pointer(self._attach, menu)
        menu.popup(self._attach.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    def _choose_collection(self, name: str, used: bool) -> None:
        others = [other for other in self._chosen if other != name]
        self.collections_chosen.emit([*others, name] if used else others)

    def _clicked(self) -> None:
        if self._busy:
            self.stopped.emit()
        else:
            self._send()

    def _send(self) -> None:
        draft = self.draft
        if not draft.is_blank and not self._busy:
            self.set_draft(Draft())
            self.sent.emit(draft)
