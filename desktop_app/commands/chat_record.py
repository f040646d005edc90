"""A terminal's chat with tools in the store of all chats: what was done is found after a kill, and in the window as well."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from desktop_app.chat.changes import branched
from desktop_app.chat.conversation import Conversation, Message, MessageTree, title_from
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from models.errors import ZhiyinError


class ChatRecord:
    """One chat and where it is stored."""

    def __init__(self, history: History, conversation: Conversation) -> None:
        """Take a chat, stored or new."""
        self._history, self.conversation = history, conversation
        tree = MessageTree(history.messages(conversation.id))
        self.path = tree.path(tree.newest_leaf(conversation.leaf)) if conversation.leaf in tree else []  # type: ignore[operator]
        """The branch that is shown."""

    def question(self, message: Message) -> None:
        """Store a question, and the chat with its first one."""
        if not self.conversation.begun:
            self.conversation = replace(
                self.conversation,
                title=title_from(message.written),
                leaf=message.id,
                updated=time.time(),
            )
            self._history.save_conversation(self.conversation)
        self.step(message)

    def choose_reading(self, start: str, summary: str) -> None:
        """Store from which question on the chat is read, and what stands for the turns before."""
        stored = next(chat for chat in self._history.conversations() if chat.id == self.conversation.id)
        self.conversation = replace(stored, choices=replace(stored.choices, reads_from=start, summary=summary))
        self._history.save_conversation(self.conversation)

    def move_on(self, path: Sequence[Message]) -> list[Message]:
        """Go on in a new chat that begins with these messages; return them as they are there."""
        self.conversation, copies = branched(self.conversation, path)
        self._history.save_conversation(self.conversation)
        for message in copies:
            self._history.save_message(message)
        return copies

    def step(self, message: Message) -> None:
        """Store any other message."""
        self._history.save_step(message)


@contextmanager
def open_record(*, last: bool) -> Iterator[ChatRecord]:
    """Open the store with a new chat, or with the one used last; raises `ZhiyinError`."""
    history = History(database_file())
    history.share()
    try:
        yield ChatRecord(history, _last(history) if last else Conversation())
    finally:
        history.close()


def _last(history: History) -> Conversation:
    latest = next((chat for chat in history.conversations() if chat.begun), None)
    if latest is None:
        raise ZhiyinError("There is no chat to go on with; leave out --continue.")
    return latest
