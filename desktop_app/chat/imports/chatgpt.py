"""ChatGPT's `conversations.json`: a list of trees of nodes, of which some hold a message that was shown."""

from __future__ import annotations

from typing import Any

import msgspec

from desktop_app.chat.conversation import Conversation, Message, Role
from desktop_app.chat.imports.chat import Chat, finished, identifier, nearest, parents_first, seconds

NAME = "ChatGPT"
_IMAGE = "[image]"


class _Author(msgspec.Struct):
    role: str = ""


class _Content(msgspec.Struct):
    content_type: str = ""
    parts: list[Any] | None = None
    text: str | None = None
    language: str | None = None


class _Metadata(msgspec.Struct):
    model_slug: str | None = None
    is_visually_hidden_from_conversation: bool | None = None


class _Message(msgspec.Struct):
    author: _Author = msgspec.field(default_factory=_Author)
    content: _Content = msgspec.field(default_factory=_Content)
    metadata: _Metadata | None = None
    create_time: float | None = None
    recipient: str | None = None


class _Node(msgspec.Struct):
    message: _Message | None = None
    parent: str | None = None


class Exported(msgspec.Struct):
    """One conversation."""

    mapping: dict[str, _Node]
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None
    conversation_id: str | None = None
    id: str | None = None


def chat_of(exported: Exported) -> Chat | None:
    """Return the messages that were shown, with all branches; None: none was."""
    name = exported.conversation_id or exported.id or next(iter(exported.mapping), "")
    chat = identifier(NAME, name)
    parents = {node: node_entry.parent for node, node_entry in exported.mapping.items()}
    shown = {node: part for node in parents_first(parents) if (part := _shown(exported.mapping[node].message))}

    def id_of(node: str | None) -> str | None:
        parent = nearest(node, parents, shown)
        return None if parent is None else identifier(NAME, name, parent)

    messages = [
        Message(chat, id_of(parents[node]), role, text, identifier(NAME, name, node), created, model=model)
        for node, (role, text, model, created) in shown.items()
    ]
    conversation = Conversation(
        chat, exported.title or "", seconds(exported.create_time), seconds(exported.update_time)
    )
    return finished(conversation, messages, id_of(exported.current_node))


def _shown(message: _Message | None) -> tuple[Role, str, str, float] | None:
    """Return role, text, model and time of a message; None: it was never shown."""
    if message is None or message.author.role not in ("user", "assistant"):
        return None
    metadata = message.metadata or _Metadata()
    if metadata.is_visually_hidden_from_conversation or message.recipient not in (None, "all"):
        return None
    text = _text(message.content).strip()
    role: Role = "user" if message.author.role == "user" else "assistant"
    return (role, text, metadata.model_slug or "", seconds(message.create_time)) if text else None


def _text(content: _Content) -> str:
    if content.content_type in ("text", "multimodal_text"):
        parts = content.parts or []
        return "\n\n".join(part if isinstance(part, str) else _IMAGE for part in parts if part)
    if content.content_type == "code" and content.text:
        return f"```{content.language or ''}\n{content.text}\n```"
    return ""
