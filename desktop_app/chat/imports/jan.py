"""Jan's threads: a folder each, with `thread.json` and one message a line in `messages.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from desktop_app.chat.conversation import Conversation, Message, Role
from desktop_app.chat.imports.chat import Chat, finished, identifier, seconds

NAME = "Jan"


class _Value(msgspec.Struct):
    value: str = ""


class _Part(msgspec.Struct):
    type: str = ""
    text: _Value | str | None = None


class Line(msgspec.Struct):
    """One message."""

    role: str
    content: list[_Part] | str
    id: str = ""
    created_at: float | None = None
    thread_id: str = ""


class Thread(msgspec.Struct):
    """A thread's metadata."""

    id: str = ""
    title: str | None = None
    created: float | None = None
    updated: float | None = None
    assistants: list[Any] = []


def chat_of(thread: Thread, lines: Iterable[Line], folder: str) -> Chat | None:
    """Return a thread; None: there is nothing in it."""
    written = sorted(lines, key=lambda line: seconds(line.created_at))  # the file may have the newest first
    name = thread.id or next((line.thread_id for line in written if line.thread_id), "") or folder
    chat = identifier(NAME, name)
    messages: list[Message] = []
    for number, line in enumerate(written):
        text = _text(line.content).strip()
        if line.role in ("user", "assistant") and text:
            role: Role = "user" if line.role == "user" else "assistant"
            parent = messages[-1].id if messages else None
            one = identifier(NAME, name, line.id or str(number))
            messages.append(
                Message(chat, parent, role, text, one, seconds(line.created_at), model=_model(thread, role))
            )
    conversation = Conversation(chat, thread.title or "", seconds(thread.created), seconds(thread.updated))
    return finished(conversation, messages, None)


def _text(content: list[_Part] | str) -> str:
    if isinstance(content, str):
        return content
    texts = (part.text for part in content if part.type == "text")
    return "\n\n".join(text.value if isinstance(text, _Value) else text or "" for text in texts)


def _model(thread: Thread, role: Role) -> str:
    if role == "user" or not thread.assistants or not isinstance(thread.assistants[0], dict):
        return ""
    model = thread.assistants[0].get("model")
    name = model.get("id") if isinstance(model, dict) else None
    return name if isinstance(name, str) else ""
