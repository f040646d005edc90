"""LM Studio's `*.conversation.json`: messages in a row, each with versions, of which one is selected."""

from __future__ import annotations

import msgspec

from desktop_app.chat.conversation import Conversation, Message, Role
from desktop_app.chat.imports.chat import Chat, finished, identifier, seconds

NAME = "LM Studio"


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Style(msgspec.Struct):
    type: str = ""


class _Step(msgspec.Struct):
    type: str = ""
    content: list[_Part] | str = ""
    style: _Style | None = None


class _Version(msgspec.Struct):
    role: str = ""
    content: list[_Part] | str = ""
    steps: list[_Step] = []


class _Message(msgspec.Struct):
    versions: list[_Version]
    currentlySelected: int = 0  # noqa: N815  (LM Studio's name)


class _Model(msgspec.Struct):
    identifier: str = ""


class Exported(msgspec.Struct):
    """One conversation."""

    messages: list[_Message]
    name: str | None = None
    createdAt: float | None = None  # noqa: N815
    lastUsedModel: _Model | None = None  # noqa: N815


def chat_of(exported: Exported, file: str) -> Chat | None:
    """Return a conversation of a file, with the versions that were not selected as branches; None: there is nothing in it."""
    name = f"{file}/{exported.createdAt}"
    chat = identifier(NAME, name)
    model = exported.lastUsedModel.identifier if exported.lastUsedModel is not None else ""
    created = seconds(exported.createdAt)
    messages: list[Message] = []
    parent: str | None = None
    for number, message in enumerate(exported.messages):
        following = parent
        for place, version in enumerate(message.versions):
            role: Role = "user" if version.role == "user" else "assistant"
            text = _text(version).strip()
            if version.role in ("user", "assistant") and text:
                one = identifier(NAME, name, str(number), str(place))
                messages.append(
                    Message(chat, parent, role, text, one, created + number, model="" if role == "user" else model)
                )
                if place == message.currentlySelected or following == parent:
                    following = one
        parent = following
    return finished(Conversation(chat, exported.name or "", created, 0.0), messages, parent)


def _text(version: _Version) -> str:
    if not version.steps:
        return _joined(version.content)
    parts = []
    for step in version.steps:
        text = _joined(step.content) if step.type == "contentBlock" else ""
        if text and step.style is not None and step.style.type == "thinking":
            text = f"<think>\n{text.strip()}\n</think>"
        parts.append(text)
    return "\n\n".join(part for part in parts if part)


def _joined(content: list[_Part] | str) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content if part.type == "text")
