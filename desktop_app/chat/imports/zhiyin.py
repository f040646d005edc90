"""Our own JSON: every message of a chat with all branches and attachments; what `desktop_app.chat.export` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.imports.chat import Chat, finished, seconds
from desktop_app.chat.rows import lost_parents, message_of

NAME = "Zhiyin"
VERSION = 1


class _Attachment(msgspec.Struct):
    name: str
    text: str
    kind: str = "text"


class _Message(msgspec.Struct):
    id: str
    role: str
    content: str
    parent: str | None = None
    created: float | None = None
    state: str = "done"
    model: str = ""
    facts: dict[str, Any] = {}
    attachments: list[_Attachment] = []


class Exported(msgspec.Struct):
    """One chat."""

    id: str
    messages: list[_Message]
    title: str = ""
    created: float | None = None
    updated: float | None = None
    leaf: str | None = None


class Document(msgspec.Struct):
    """The whole file."""

    zhiyin: int
    chats: list[Exported]


def document_of(chats: Sequence[Chat]) -> dict[str, Any]:
    """Return chats as JSON has them."""
    return {"zhiyin": VERSION, "chats": [_stored(chat.conversation, chat.messages) for chat in chats]}


def chat_of(exported: Exported) -> Chat | None:
    """Return a chat; None: there is nothing in it."""
    lost = lost_parents({message.id: message.parent for message in exported.messages})
    messages = [_message(exported.id, one, cut_off=one.id in lost) for one in exported.messages]
    conversation = Conversation(exported.id, exported.title, seconds(exported.created), seconds(exported.updated))
    return finished(conversation, messages, exported.leaf)


def _message(chat: str, stored: _Message, *, cut_off: bool) -> Message:
    parent = None if cut_off else stored.parent
    row = (
        chat,
        parent,
        stored.role,
        stored.content,
        stored.id,
        seconds(stored.created),
        stored.state,
        stored.model,
        msgspec.json.encode(stored.facts),
    )
    attachments = tuple(Attachment(one.name, one.text, one.kind) for one in stored.attachments)
    return replace(message_of(row), attachments=attachments)


def _stored(chat: Conversation, messages: tuple[Message, ...]) -> dict[str, Any]:
    return {
        "id": chat.id,
        "title": chat.title,
        "created": chat.created,
        "updated": chat.updated,
        "leaf": chat.leaf,
        "messages": [
            {
                "id": message.id,
                "parent": message.parent,
                "role": message.role,
                "content": message.content,
                "created": message.created,
                "state": message.state,
                "model": message.model,
                "facts": message.facts,
                "attachments": [{"name": one.name, "kind": one.kind, "text": one.text} for one in message.attachments],
            }
            for message in messages
        ],
    }
