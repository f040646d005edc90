"""Open WebUI's export: a list of chats, each a tree of messages by their ids."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from desktop_app.chat.conversation import Conversation, Message, Role
from desktop_app.chat.imports.chat import Chat, finished, identifier, nearest, parents_first, seconds

NAME = "Open WebUI"
_THOUGHT = re.compile(r"<details type=\"reasoning\"[^>]*>\s*(?:<summary>.*?</summary>)?(.*?)</details>", re.DOTALL)


class _Message(msgspec.Struct):
    role: str = ""
    content: Any = ""
    parentId: str | None = None  # noqa: N815  (Open WebUI's name)
    timestamp: float | None = None
    model: str | None = None


class _History(msgspec.Struct):
    messages: dict[str, _Message]
    currentId: str | None = None  # noqa: N815


class _Chat(msgspec.Struct):
    history: _History
    title: str | None = None


class Exported(msgspec.Struct):
    """One chat."""

    chat: _Chat
    id: str = ""
    title: str | None = None
    created_at: float | None = None
    updated_at: float | None = None


def chat_of(exported: Exported) -> Chat | None:
    """Return a chat with all branches; None: there is nothing in it."""
    stored = exported.chat.history.messages
    name = exported.id or next(iter(stored), "")
    chat = identifier(NAME, name)
    parents = {one: message.parentId for one, message in stored.items()}
    kept = {one: stored[one] for one in parents_first(parents) if stored[one].role in ("user", "assistant")}

    def id_of(one: str | None) -> str | None:
        parent = nearest(one, parents, kept)
        return None if parent is None else identifier(NAME, name, parent)

    messages = [_message(chat, id_of(parents[one]), identifier(NAME, name, one), kept[one]) for one in kept]
    title = exported.title or exported.chat.title or ""
    conversation = Conversation(chat, title, seconds(exported.created_at), seconds(exported.updated_at))
    return finished(conversation, messages, id_of(exported.chat.history.currentId))


def _message(chat: str, parent: str | None, one: str, stored: _Message) -> Message:
    role: Role = "user" if stored.role == "user" else "assistant"
    model = stored.model or "" if role == "assistant" else ""
    return Message(chat, parent, role, _text(stored.content), one, seconds(stored.timestamp), model=model)


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "\n\n".join(part for part in parts if isinstance(part, str))
    text = content if isinstance(content, str) else ""
    return _THOUGHT.sub(lambda match: f"<think>\n{_unquoted(match[1])}\n</think>\n\n", text).strip()


def _unquoted(thought: str) -> str:
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in thought.strip().splitlines())
