"""Changes to a chat's messages: deleting one, branching off a new chat, continuing a reply."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from desktop_app.chat.attachment import new_id
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.steps import calls_of


def without(messages: Iterable[Message], removed: str) -> list[Message]:
    """Return the messages without one; those that followed it follow the one before it."""
    kept = list(messages)
    before = {message.id: message.parent for message in kept}[removed]
    return [
        replace(message, parent=before) if message.parent == removed else message
        for message in kept
        if message.id != removed
    ]


def leaf_without(messages: Iterable[Message], leaf: str | None, removed: str) -> str | None:
    """Return the end of the branch that is shown when a message is gone: where it was, or nearest to it."""
    if leaf != removed:
        return leaf
    kept = list(messages)
    parent = {message.id: message.parent for message in kept}[removed]
    return parent if parent is not None else MessageTree(without(kept, removed)).newest_leaf()


def branched(chat: Conversation, path: Sequence[Message]) -> tuple[Conversation, list[Message]]:
    """Return a new chat that begins with the messages of a path, with what was chosen for the old one."""
    ids = {message.id: new_id() for message in path}
    identifier = new_id()
    copies = [
        replace(
            message,
            conversation=identifier,
            id=ids[message.id],
            parent=ids.get(message.parent or ""),
            attachments=tuple(one.copy() for one in message.attachments),
        )
        for message in path
    ]
    now = time.time()
    new = replace(
        chat,
        id=identifier,
        created=now,
        updated=now,
        leaf=copies[-1].id,
        draft="",
        attachments=(),
        pinned=False,
        named=chat.named or "user",
        choices=_reading_of_copy(chat.choices, ids),
    )
    return new, copies


def _reading_of_copy(choices: Choices, ids: Mapping[str, str]) -> Choices:
    """Return what was chosen for a chat whose messages got other ids; it is read from the same question on, if that is there."""
    start = ids.get(choices.reads_from, "")
    return replace(choices, reads_from=start, summary=choices.summary if start else "")


def can_go_on(reply: Message) -> bool:
    """Tell whether a reply was cut off in its text, so that it can go on from there."""
    cut_off = reply.state in ("stopped", "interrupted", "failed") or reply.facts.get("reason") in ("length", "full")
    return reply.role == "assistant" and cut_off and bool(reply.content.strip()) and not calls_of(reply)
