"""Rows of the database to chats and messages, whatever the rows hold: a damaged value loses itself alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast, get_args

from desktop_app.chat.attachment import TEXT, Attachment
from desktop_app.chat.choices import choices_from
from desktop_app.chat.conversation import Conversation, Message, Named, Role, State
from desktop_app.chat.failure import failure_of
from desktop_app.chat.folders import Folder
from desktop_app.chat.reasoning import THINKING_SECONDS
from desktop_app.chat.tool_choice import choice_from
from models.chat.efforts import EFFORTS

CONVERSATION_COLUMNS = (
    "id, title, created, updated, leaf, draft, thinking, effort, pinned, folder, named, choices, collections, tools"
)
MESSAGE_COLUMNS = "conversation, parent, role, content, id, created, state, model, facts"
FOLDER_COLUMNS = "id, name, position, closed"
ATTACHMENT_COLUMNS = "id, conversation, message, position, name, kind, text, path"

_NUMBERS = frozenset(
    ("tokens", "seconds", "prompt_tokens", "reused_tokens", "prompt_seconds", "context", THINKING_SECONDS)
)
_ROLES, _STATES, _NAMED = (frozenset(get_args(words)) for words in (Role, State, Named))
_LATEST = 2.0**33
"""Seconds since 1970: the year 2242, which every calendar knows."""
_MOST = 2.0**53


def marks(columns: str) -> str:
    """Return a statement's marks for the values of columns."""
    return ", ".join("?" for _ in columns.split(","))


def conversation_of(row: tuple[Any, ...]) -> Conversation:
    """Return a chat; what is damaged in its row has its default."""
    identifier, title, created, updated, leaf, draft, thinking, effort, *more = row
    pinned, folder, named, choices, collections, tools = more
    return Conversation(
        _text(identifier),
        _text(title),
        time_of(created),
        time_of(updated),
        leaf if isinstance(leaf, str) else None,
        _text(draft),
        bool(thinking) if thinking in (0, 1) else None,
        effort if effort in EFFORTS else "",
        pinned=pinned == 1,
        folder=folder if isinstance(folder, str) else None,
        named=cast(Named, named if isinstance(named, str) and named in _NAMED else ""),
        choices=choices_from(_decoded(choices)),
        collections=_names(collections),
        tools=choice_from(tools),
    )


def conversation_row(conversation: Conversation) -> tuple[Any, ...]:
    """Return what is stored of a chat, in the order of its columns."""
    return (
        conversation.id,
        conversation.title,
        conversation.created,
        conversation.updated,
        conversation.leaf,
        conversation.draft,
        conversation.thinking,
        conversation.effort,
        int(conversation.pinned),
        conversation.folder,
        conversation.named,
        json.dumps(conversation.choices.stored(), sort_keys=True),
        json.dumps(conversation.collections, ensure_ascii=False) if conversation.collections else "",
        conversation.tools.stored(),
    )


def message_of(row: tuple[Any, ...]) -> Message:
    """Return a message; what is damaged in its row has its default."""
    conversation, parent, role, content, identifier, created, state, model, facts = row
    message = Message(
        _text(conversation),
        parent if isinstance(parent, str) else None,
        cast(Role, role if isinstance(role, str) and role in _ROLES else "user"),
        _text(content),
        _text(identifier),
        time_of(created),
        cast(State, state if isinstance(state, str) and state in _STATES else "interrupted"),
        _text(model),
        _facts(facts),
    )
    if ("error" in message.facts or "message" in message.facts) and not _has_good_failure(message):
        message.facts.pop("error", None)
        message.facts.pop("message", None)
    return message


def message_row(message: Message) -> tuple[Any, ...]:
    """Return what is stored of a message, in the order of its columns."""
    return (*_columns(message), json.dumps(message.facts))


def folder_of(row: tuple[Any, ...]) -> Folder:
    """Return a folder; what is damaged in its row has its default."""
    identifier, name, position, closed = row
    return Folder(_text(name), position if type(position) is int else 0, closed == 1, _text(identifier))


def attachment_of(row: tuple[Any, ...]) -> Attachment:
    """Return an attachment of its name, kind, text, id and path; what is damaged in its row has its default."""
    name, kind, text, identifier, path = row
    kind = kind if isinstance(kind, str) and kind else TEXT
    return Attachment(_text(name), _text(text), kind, _text(identifier), _text(path))


def attachment_rows(conversation: str, message: str | None, attachments: Sequence[Attachment]) -> list[tuple[Any, ...]]:
    """Return what is stored of the attachments of a message, or of a chat's draft, in the order of their columns."""
    return [
        (one.id, conversation, message, position, one.name, one.kind, one.text, one.path)
        for position, one in enumerate(attachments)
    ]


def _columns(message: Message) -> tuple[Any, ...]:
    """Return all but the facts."""
    return (
        message.conversation,
        message.parent,
        message.role,
        message.content,
        message.id,
        message.created,
        message.state,
        message.model,
    )


def is_whole(row: tuple[Any, ...], message: Message) -> bool:
    """Tell whether nothing of a message's row was damaged."""
    return row[:-1] == _columns(message) and isinstance(row[-1], str) and _decoded(row[-1]) == message.facts


def lost_parents(parents: Mapping[str, str | None]) -> set[str]:
    """Return the messages that cut the others off from a first one: their parent is missing, or begins a circle.

    Args:
        parents: of all messages of a chat, the oldest first.
    """
    lost = {message for message, parent in parents.items() if parent is not None and parent not in parents}
    sound: set[str] = set()
    age = {message: number for number, message in enumerate(parents)}
    for start in parents:
        path: dict[str, None] = {}
        at: str | None = start
        while at is not None and at not in sound and at not in path and at not in lost:
            path[at] = None
            at = parents[at]
        if at in path:
            way = list(path)
            lost.add(min(way[way.index(at) :], key=age.__getitem__))
        sound.update(path)
    return lost


def _names(stored: Any) -> tuple[str, ...]:
    names = _decoded(stored) if stored else None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else "" if value is None else str(value)


def time_of(value: Any) -> float:
    """Return a stored time, 0 for what is none."""
    return value if type(value) in (int, float) and 0 <= value < _LATEST else 0.0


def _facts(stored: Any) -> dict[str, Any]:
    facts = _decoded(stored)
    return {name: value for name, value in facts.items() if _is_good(name, value)} if isinstance(facts, dict) else {}


def _decoded(stored: Any) -> Any:
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(stored)
    return None


def _is_good(name: str, value: Any) -> bool:
    if name in _NUMBERS:
        return type(value) in (int, float) and 0 <= value < _MOST and math.isfinite(value)
    if name == "error":
        return isinstance(value, Mapping)
    return name not in ("reason", "message", "cause") or isinstance(value, str)


def _has_good_failure(message: Message) -> bool:
    """Tell whether the failure that a message stores can be said."""
    try:
        failure = failure_of(message)
        return failure is None or (bool(str(failure)) and isinstance(failure.code, str))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return False
