"""Mends a database that SQLite reads well but whose rows hold what no version wrote."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desktop_app.chat.rows import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    conversation_of,
    conversation_row,
    is_whole,
    lost_parents,
    marks,
    message_of,
    message_row,
)
from desktop_app.small_files import free_path

_CONTENT = "CASE typeof(content) WHEN 'text' THEN '' ELSE content END"
"""Texts are whole and need not be read."""
_CONVERSATIONS = f"SELECT rowid, {CONVERSATION_COLUMNS} FROM conversations"  # noqa: S608  (constants only)
_MESSAGES = f"SELECT rowid, {MESSAGE_COLUMNS} FROM messages ORDER BY created, rowid".replace("content", _CONTENT)  # noqa: S608
_MEND_CONVERSATION = (
    f"UPDATE OR IGNORE conversations SET ({CONVERSATION_COLUMNS}) = ({marks(CONVERSATION_COLUMNS)}) WHERE rowid = ?"  # noqa: S608
)
_MEND_MESSAGE = (
    f"UPDATE OR IGNORE messages SET ({MESSAGE_COLUMNS}) = (?, ?, ?, "  # noqa: S608
    "CASE typeof(content) WHEN 'text' THEN content ELSE ? END, ?, ?, ?, ?, ?) WHERE rowid = ?"
)
_ORPHANS = "SELECT count(*) FROM messages WHERE conversation NOT IN (SELECT id FROM conversations)"


@dataclass(frozen=True)
class Recovery:
    """The contents recovered from a damaged file."""

    damaged: Path
    """Where the damaged file lies now."""
    conversations: int
    messages: int


def mend(database: sqlite3.Connection, path: Path) -> Recovery | None:
    """Replace damaged values by their defaults, after a copy of the file was put aside; None: there are none.

    Where no copy can be made, nothing is changed: reading leaves damaged values out as well.
    """
    changes = [*_conversations(database), *_messages(database)]
    [(orphans,)] = database.execute(_ORPHANS).fetchall()
    if not changes and not orphans:
        return None
    aside = free_path(path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"))
    try:
        with closing(sqlite3.connect(aside)) as copy:
            database.backup(copy)
        with foreign_keys_off(database):
            for statement, values in changes:
                database.execute(statement, values)
            adopt_orphans(database)
    except sqlite3.Error:
        database.rollback()
        with suppress(OSError):
            aside.unlink()
        return None
    counts = (database.execute(f"SELECT count(*) FROM {table}") for table in ("conversations", "messages"))  # noqa: S608
    return Recovery(aside, *(count for [(count,)] in map(sqlite3.Cursor.fetchall, counts)))


Change = tuple[str, tuple[Any, ...]]
"""A statement and its values."""


def _conversations(database: sqlite3.Connection) -> Iterator[Change]:
    for rowid, *row in database.execute(_CONVERSATIONS):
        mended = conversation_row(conversation_of(tuple(row)))
        if mended != tuple(row):
            yield _MEND_CONVERSATION, (*mended, rowid)


def _messages(database: sqlite3.Connection) -> Iterator[Change]:
    chats: dict[str, dict[str, str | None]] = {}
    rows = {}
    for rowid, *row in database.execute(_MESSAGES):
        message = message_of(tuple(row))
        chats.setdefault(message.conversation, {})[message.id] = message.parent
        if not is_whole(tuple(row), message):
            rows[message.id] = message, rowid
    lost = {message for parents in chats.values() for message in lost_parents(parents)}
    for message, rowid in rows.values():
        yield _MEND_MESSAGE, (*message_row(replace(message, parent=None) if message.id in lost else message), rowid)
    for identifier in lost - rows.keys():
        yield "UPDATE messages SET parent = NULL WHERE id = ?", (identifier,)


@contextmanager
def foreign_keys_off(database: sqlite3.Connection) -> Iterator[None]:
    """Accept messages whose conversation could not be read; `adopt_orphans` gives them one."""
    database.commit()
    database.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        database.commit()
        database.execute("PRAGMA foreign_keys = ON")


def adopt_orphans(database: sqlite3.Connection) -> None:
    """Give messages whose chat is lost a new one, and attachments whose message is lost to their chat's draft."""
    database.execute(
        "INSERT INTO conversations (id, title, created, updated, leaf) SELECT conversation, substr(content, 1, 60), "
        "min(created), max(created), (SELECT id FROM messages AS last WHERE last.conversation = messages.conversation "
        "ORDER BY created DESC, rowid DESC LIMIT 1) FROM messages "
        "WHERE conversation NOT IN (SELECT id FROM conversations) GROUP BY conversation"
    )
    database.execute("UPDATE conversations SET folder = NULL WHERE folder NOT IN (SELECT id FROM folders)")
    database.execute("DELETE FROM attachments WHERE conversation NOT IN (SELECT id FROM conversations)")
    database.execute("UPDATE attachments SET message = NULL WHERE message NOT IN (SELECT id FROM messages)")
