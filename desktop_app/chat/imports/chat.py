"""A chat that was read from another program's file, and what its readers share."""

from __future__ import annotations

import math
import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from desktop_app.chat.conversation import Conversation, Message, title_from

_LATEST = 2.0**33
_MILLISECONDS = 1e11
"""A time above it counts milliseconds since 1970, not seconds."""
_SPACE = uuid.UUID("5f0c6d8e-52a3-4d6c-9c0e-6b4d3c1f2a77")


@dataclass(frozen=True)
class Chat:
    """A conversation with its messages, parents before children."""

    conversation: Conversation
    messages: tuple[Message, ...]


def identifier(program: str, *names: str) -> str:
    """Return the id that a thing of another program always gets here."""
    return uuid.uuid5(_SPACE, "/".join((program, *names))).hex


def seconds(value: Any) -> float:
    """Return a time in seconds since 1970, 0 for none; some programs count milliseconds."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        return 0.0
    time = value / 1000 if value > _MILLISECONDS else float(value)
    return time if time < _LATEST else 0.0


def parents_first(parents: Mapping[str, str | None]) -> list[str]:
    """Return what a root leads to, each behind its parent; a parent that is missing is none."""
    children: dict[str | None, list[str]] = {}
    for name, parent in parents.items():
        children.setdefault(parent if parent in parents else None, []).append(name)
    order: list[str] = []
    waiting = children.get(None, [])[::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(children.get(order[-1], []))
    return order


def nearest(name: str | None, parents: Mapping[str, str | None], kept: Container[str]) -> str | None:
    """Return the first from a name upwards that is kept; None: there is none."""
    seen: set[str] = set()
    while name is not None and name not in kept:
        if name in seen:
            return None
        seen.add(name)
        name = parents.get(name)
    return name


def finished(conversation: Conversation, messages: Iterable[Message], leaf: str | None) -> Chat | None:
    """Return a chat with its title, times and open branch; None: there is nothing in it."""
    kept = tuple(messages)
    if not kept:
        return None
    last = leaf if any(message.id == leaf for message in kept) else kept[-1].id
    begun = min((message.created for message in kept if message.created), default=0.0)
    ended = max((message.created for message in kept), default=0.0)
    title = conversation.title.strip() or next(
        (title_from(message.written) for message in kept if message.role == "user"), ""
    )
    return Chat(
        replace(
            conversation,
            title=title or "…",
            leaf=last,
            created=conversation.created or begun,
            updated=conversation.updated or ended,
            named="user",
        ),
        kept,
    )
