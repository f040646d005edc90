"""Assistants in the window: which there are, chats that begin with one, changes of them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from desktop_app.chat.assistants import Assistant, Own, all_of, found_in, own_file, with_one, without_one
from desktop_app.chat.choices import Choices
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.paths import assistants_file
from desktop_app.ui.chat.chat_session import ChatSession
from models.errors import ZhiyinError


class AssistantController(QObject):
    """The assistants of the language that is shown, and of the user's own."""

    changed = Signal()
    failed = Signal(Exception)
    """A change could not be stored."""

    def __init__(self, chats: ChatSession, language: Callable[[], str], parent: QObject | None = None) -> None:
        """Read the user's own when they are asked for first; `language` returns that which is shown."""
        super().__init__(parent)
        self._chats, self._language = chats, language
        self._own: Own | None = None
        chats.list.opened.connect(self.changed)

    @property
    def all(self) -> list[Assistant]:
        """All assistants, the user's own first."""
        return all_of(self._language(), self._read())

    @property
    def current(self) -> Assistant | None:
        """The open chat's."""
        return found_in(self.all, self._chats.list.current.choices.assistant)

    def choose(self, assistant: Assistant | None) -> None:
        """Let a new chat begin with an assistant; None: without one."""
        self._chats.new()
        self._chats.list.choose_all(Choices() if assistant is None else assistant.choices)
        self._chats.list.set_tools(ToolChoice() if assistant is None else assistant.tool_choice)
        self._chats.list.set_collections(() if assistant is None else assistant.collections)
        self.changed.emit()

    def save(self, assistant: Assistant) -> None:
        """Keep a new or a changed one."""
        self._change(with_one(self._read(), assistant))

    def remove(self, assistant: Assistant) -> None:
        """Take one off the list; chats that have it keep its instructions."""
        self._change(without_one(self._read(), assistant.id))

    def _read(self) -> Own:
        if self._own is None:
            try:
                self._own = own_file(assistants_file()).read()
            except ZhiyinError:
                self._own = Own()
        return self._own

    def _change(self, own: Own) -> None:
        self._own = own
        try:
            own_file(assistants_file()).write(own)
        except OSError as error:
            self.failed.emit(error)
        self.changed.emit()
