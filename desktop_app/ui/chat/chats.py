"""The list of chats and the one that is open: what they are called, what was chosen for them, and how it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from desktop_app.chat.attachment import Draft
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.settings import Settings
from desktop_app.ui.bridges.history_bridge import HistoryBridge

if TYPE_CHECKING:
    from desktop_app.chat.history import Deleted, Found
    from desktop_app.chat.imports.work import Imported


class Chats(QObject):
    """All conversations and the one that is open."""

    listed = Signal()
    """The list of conversations changed."""
    opened = Signal()
    """Another branch or another chat is shown: `path` is new."""
    added = Signal(Message)
    """A message follows the last one of the path."""
    draft_found = Signal(Draft)
    """What was written in the new chat before the application ended, and not sent."""

    def __init__(self, history: HistoryBridge, settings: Settings, parent: QObject | None = None) -> None:
        """Begin with a new chat and read the list of old ones."""
        super().__init__(parent)
        self._history, self._settings = history, settings
        self._all: dict[str, Conversation] = {}
        self._deleted: dict[str, Conversation] = {}
        self._new = Conversation()
        self.current = self.fresh()
        self.tree = MessageTree()
        history.conversations(self._list)

    def __contains__(self, conversation: str) -> bool:
        """Whether a chat is on the list; a new one is not."""
        return conversation in self._all

    def __getitem__(self, conversation: str) -> Conversation:
        """Return a chat of the list by its id."""
        return self._all[conversation]

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations, the last used first."""
        return sorted(self._all.values(), key=lambda conversation: conversation.updated, reverse=True)

    @property
    def path(self) -> list[Message]:
        """The messages that are shown."""
        return self.tree.path(self.current.leaf)

    def title_of(self, conversation: str) -> str:
        """Return a chat's title as the list shows it."""
        return self._all[conversation].title

    def search(self, words: str, on_found: Callable[[list[Found]], None]) -> None:
        """Find the chats in which a text occurs."""
        self._history.search(words, on_found)

    def add_from(
        self,
        path: Path,
        on_part: Callable[[float], None],
        on_done: Callable[[Imported], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Import the chats of another program, and list them."""

        def added(imported: Imported) -> None:
            self._history.conversations(self._list)
            on_done(imported)

        self._history.add_from(path, on_part, added, on_failed)

    def rename(self, conversation: str, title: str) -> None:
        """Give a chat another title, which no model replaces."""
        if title.strip():
            self.change(conversation, title=title.strip(), named="user")

    def change(self, conversation: str, **fields: Any) -> None:
        """Change what a chat of the list is: its title, its folder, what was chosen for it, whether it is pinned."""
        self.store(replace(self._all[conversation], **fields))

    def choose(self, **choices: Any) -> None:
        """Change some of what was chosen for the open chat alone (`Choices`)."""
        self.choose_all(replace(self.current.choices, **choices))

    def choose_all(self, choices: Choices) -> None:
        """Change what was chosen for the open chat alone; a new one is stored with its first message."""
        self.current = replace(self.current, choices=choices)
        if self.current.id in self._all:
            self.store(self.current)
        else:
            self._new = self.current

    def renew(self) -> None:
        """Let the next new chat be another one: this one was used."""
        self._new = Conversation()

    def choose_nothing(self) -> bool:
        """Forget what was chosen for the new chat; return whether anything was."""
        chosen, self._new = self._new.choices != Choices(), replace(self._new, choices=Choices())
        return chosen

    def take(self, chat: Conversation, messages: Sequence[Message]) -> None:
        """Store a chat that was made elsewhere."""
        self._history.add(chat, messages)
        self._all[chat.id] = chat

    def delete(self, conversation: str) -> None:
        """Put a chat into the trash; `bring_back` undoes it."""
        self._deleted[conversation] = self._all.pop(conversation)
        self._history.delete(conversation)

    def deleted(self, conversation: str) -> Conversation | None:
        """Return a chat that was deleted since the start; None: it was not, or is back."""
        return self._deleted.get(conversation)

    def bring_back(self, chat: Conversation) -> None:
        """Put a chat of the trash on the list again."""
        self._deleted.pop(chat.id, None)
        self._all[chat.id] = chat
        self._history.restore(chat.id)
        self.listed.emit()

    def trash(self, on_done: Callable[[list[Deleted]], None]) -> None:
        """Find out which chats are in the trash, the last one first."""
        self._history.trash(on_done)

    def forget(self, conversations: Sequence[str]) -> None:
        """Delete chats of the trash for good."""
        for conversation in conversations:
            self._deleted.pop(conversation, None)
        self._history.forget(conversations)

    def set_tools(self, choice: ToolChoice) -> None:
        """Choose the tools that the open chat has on."""
        self._choose(tools=choice)

    def set_thinking(self, thinking: bool) -> None:
        """Choose whether the next replies of the open chat, and of new ones, begin with reasoning."""
        self._settings.thinking = thinking
        self._choose(thinking=thinking)

    def set_effort(self, effort: str) -> None:
        """Choose how long the next replies of the open chat, and of new ones, think."""
        self._settings.effort = effort
        self._choose(effort=effort)

    def set_collections(self, names: Sequence[str]) -> None:
        """Choose the collections of documents that the next replies of the open chat are looked for in."""
        self._choose(collections=tuple(names))

    def save_draft(self, draft: Draft) -> None:
        """Keep what was written and not sent; the new chat's is stored too, though the chat is not on the list."""
        if draft == self.current.unsent:
            return
        self.current = replace(self.current, draft=draft.text, attachments=draft.attachments)
        if self.current.id in self._all:
            self._all[self.current.id] = self.current
        else:
            self._new = self.current
        self._history.save_conversation(self.current)

    def fresh(self) -> Conversation:
        """Return a new chat, which begins as the last one was set."""
        return replace(self._new, thinking=self._settings.thinking, effort=self._settings.effort)

    def store(self, conversation: Conversation) -> None:
        """Put a chat on the list as it is now, and store it."""
        self.note(conversation)
        self._history.save_conversation(conversation)

    def note(self, conversation: Conversation) -> None:
        """Put a chat on the list as it is now; it is stored elsewhere."""
        self.put(conversation)
        self.listed.emit()

    def put(self, conversation: Conversation) -> None:
        """Replace a chat by what it is now, without a word to anybody."""
        self._all[conversation.id] = conversation
        if conversation.id == self.current.id:
            self.current = conversation

    def _choose(self, **choice: bool | str | tuple[str, ...] | ToolChoice) -> None:
        """Note a choice for the open chat; a new one is stored with its first message."""
        self.current = replace(self.current, **choice)  # type: ignore[arg-type]  # names of its fields
        if self.current.id in self._all:
            self.store(self.current)

    def _list(self, conversations: list[Conversation]) -> None:
        for conversation in conversations:
            if conversation.begun:
                self._all.setdefault(conversation.id, conversation)
            else:
                self._take_up(conversation)
        self.listed.emit()

    def _take_up(self, unsent: Conversation) -> None:
        """Go on with the new chat of the last time."""
        at_its_beginning = self.current.id == self._new.id
        self._new = unsent
        if at_its_beginning:
            self.current = self.fresh()
            self.draft_found.emit(unsent.unsent)
