"""Chats: messages in a tree, so that an edited question or a second answer never replaces the first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from desktop_app.chat.attachment import Attachment, Draft, new_id, whole_text
from desktop_app.chat.choices import Choices
from desktop_app.chat.tool_choice import ToolChoice

Role = Literal["user", "assistant", "tool"]
"""tool: the result of a call (`desktop_app.chat.steps`)."""
State = Literal["done", "streaming", "stopped", "failed", "interrupted"]
"""streaming: being written; stopped: by the user; failed: by the engine; interrupted: the application ended meanwhile."""
Named = Literal["", "model", "user"]
"""Who gave a chat its title; "": it is the beginning of the first message."""

_TITLE_LENGTH = 60
_READ_FOR_TITLE = 2000


@dataclass(frozen=True)
class Conversation:
    """One entry of the list of chats."""

    id: str = field(default_factory=new_id)
    title: str = ""
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""
    updated: float = field(default_factory=time.time)
    leaf: str | None = None
    """The last message of the branch that is shown."""
    draft: str = ""
    """What was typed and not sent."""
    thinking: bool | None = None
    """Whether replies begin with reasoning, where the model leaves the choice; None: as it does by itself."""
    effort: str = ""
    """How long to think (`models.chat.efforts.EFFORTS`), where the model leaves that choice; "": as it does by itself."""
    tools: ToolChoice = field(default_factory=ToolChoice)
    """Which tools are on."""
    attachments: tuple[Attachment, ...] = ()
    """Of the draft."""
    pinned: bool = False
    folder: str | None = None
    """The id of the folder that it is kept in (`desktop_app.chat.folders`)."""
    named: Named = ""
    choices: Choices = field(default_factory=Choices)
    """What was chosen for this chat alone."""
    collections: tuple[str, ...] = ()
    """The collections of documents that its replies are looked for in."""

    @property
    def unsent(self) -> Draft:
        """The draft with what goes with it."""
        return Draft(self.draft, self.attachments)

    @property
    def begun(self) -> bool:
        """Something was sent; before that it is the new chat, of which there is one, with its draft."""
        return bool(self.title or self.leaf)


@dataclass(frozen=True)
class Message:
    """One message; `content` is the model's text as it came, reasoning included."""

    conversation: str
    parent: str | None
    """The message it follows; None for the first."""
    role: Role
    content: str
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)
    state: State = "done"
    model: str = ""
    """The name of the model that wrote it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """tokens, seconds, prompt_tokens, prompt_seconds, reason: see `engine.protocol.Reply`; context: that it was written in."""
    attachments: tuple[Attachment, ...] = ()

    @property
    def written(self) -> Draft:
        """The user's text as typed."""
        return Draft(self.content, self.attachments)

    @property
    def whole(self) -> str:
        """The message as a model reads it."""
        return whole_text(self.content, self.attachments) if self.attachments else self.content


class MessageTree:
    """The messages of one conversation with all their branches."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        """Take messages in the order in which they were made."""
        self._messages: dict[str, Message] = {}
        self._children: dict[str | None, list[str]] = {}
        for message in messages:
            self.put(message)

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, message: str) -> bool:
        return message in self._messages

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    def __getitem__(self, message: str) -> Message:
        return self._messages[message]

    def put(self, message: Message) -> None:
        """Add a message, or replace the one with the same id."""
        if message.id not in self._messages:
            self._children.setdefault(message.parent, []).append(message.id)
        self._messages[message.id] = message

    def path(self, leaf: str | None) -> list[Message]:
        """Return the messages from the first one to `leaf`."""
        path: dict[str, Message] = {}
        while leaf is not None and leaf in self._messages and leaf not in path:
            path[leaf] = self._messages[leaf]
            leaf = self._messages[leaf].parent
        return list(path.values())[::-1]

    def siblings(self, message: str) -> list[Message]:
        """Return the versions of a message in the order in which they were made, itself included."""
        return [self._messages[other] for other in self._children[self._messages[message].parent]]

    def newest_leaf(self, message: str | None = None) -> str | None:
        """Return the end of the newest branch below a message, or of the whole tree."""
        seen: set[str] = set()
        while (children := self._children.get(message)) and children[-1] not in seen:
            message = children[-1]
            seen.add(message)
        return message


def title_from(message: Draft) -> str:
    """Return a conversation's title: what was typed first, cut at a word; where nothing was, the first attachment's name."""
    text = message.text.strip() or next((one.name or one.text for one in message.attachments), "")
    line = " ".join(text[:_READ_FOR_TITLE].split())
    if len(line) <= _TITLE_LENGTH:
        return line
    cut = line[:_TITLE_LENGTH]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > _TITLE_LENGTH // 2 else cut).rstrip(" ,.;:，。；：、") + "…"
