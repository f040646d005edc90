"""Chats in SQLite: every message is on disk when it is sent, and a damaged file loses only what is damaged.

Write-ahead logging with full synchronisation: a killed application loses nothing that was saved. Used from one thread.
Deleted chats stay in a trash for 30 days. What ends with an application (replies that were being written) and with time (the
trash) is tidied up only by the process that owns the
folder (`desktop_app.processes.folder_lock`): another one may still undo or go on writing.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.folders import Folder
from desktop_app.chat.mending import Recovery, adopt_orphans, foreign_keys_off, mend
from desktop_app.chat.rows import (
    ATTACHMENT_COLUMNS,
    CONVERSATION_COLUMNS,
    FOLDER_COLUMNS,
    MESSAGE_COLUMNS,
    attachment_of,
    attachment_rows,
    conversation_of,
    conversation_row,
    folder_of,
    marks,
    message_of,
    message_row,
    time_of,
)
from desktop_app.chat.words import FORGET, WORDS_SCHEMA, match_of
from desktop_app.paths import STATES, WORK
from desktop_app.processes.folder_lock import own
from desktop_app.remove_tree import remove_tree
from desktop_app.small_files import free_path
from models.errors import ZhiyinError
from models.visible import visible

TRASH_DAYS = 30
"""How long deleted chats can be brought back."""
_BUSY_SECONDS = 5.0
_SUFFIXES = ("", "-wal", "-shm")
"""Of the files that make up one database."""

_BEFORE, _SNIPPET = 24, 160
"""Characters in front of a place that was found, and all that are shown of it."""
_MARKS = re.compile(r"</?think>|[*#`|>]+|-{3,}")
_MOST_FOUND = 200
"""Chats: a search ends when so many have the words."""

_SCHEMA_1 = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    leaf TEXT,
    draft TEXT NOT NULL DEFAULT '',
    deleted REAL
);
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    parent TEXT,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    created REAL NOT NULL,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX messages_by_conversation ON messages(conversation, created);
"""

_SCHEMA_2 = "ALTER TABLE conversations ADD COLUMN thinking INTEGER;"

_SCHEMA_3 = "ALTER TABLE conversations ADD COLUMN effort TEXT NOT NULL DEFAULT '';"

_SCHEMA_4 = """
CREATE TABLE attachments (
    id TEXT PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    message TEXT REFERENCES messages(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX attachments_by_conversation ON attachments(conversation, message);
CREATE INDEX attachments_by_message ON attachments(message);
"""

_SCHEMA_5 = """
CREATE TABLE folders (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0
);
ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN folder TEXT REFERENCES folders(id) ON DELETE SET NULL;
ALTER TABLE conversations ADD COLUMN named TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN choices TEXT NOT NULL DEFAULT '{}';
"""

_SCHEMA_6 = """
ALTER TABLE conversations ADD COLUMN collections TEXT NOT NULL DEFAULT '';
ALTER TABLE attachments ADD COLUMN path TEXT NOT NULL DEFAULT '';
"""


_SCHEMA_7 = "ALTER TABLE conversations ADD COLUMN tools TEXT NOT NULL DEFAULT '';"

MIGRATIONS: tuple[str, ...] = (
    _SCHEMA_1,
    _SCHEMA_2,
    _SCHEMA_3,
    _SCHEMA_4,
    _SCHEMA_5,
    _SCHEMA_6,
    _SCHEMA_7,
    WORDS_SCHEMA,
)
"""The scripts that lead from version n to n + 1. Append; never change one that was published."""

_KEPT = ("id", "created")
_SAVE_CONVERSATION = f"""
INSERT INTO conversations ({CONVERSATION_COLUMNS}) VALUES ({marks(CONVERSATION_COLUMNS)}) ON CONFLICT(id) DO UPDATE SET
{", ".join(f"{name} = excluded.{name}" for name in CONVERSATION_COLUMNS.split(", ") if name not in _KEPT)}
"""  # noqa: S608  (constants only)
_SAVE_FOLDER = f"""
INSERT INTO folders ({FOLDER_COLUMNS}) VALUES (?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET name = excluded.name, position = excluded.position, closed = excluded.closed
"""  # noqa: S608  (constants only)
_SAVE_MESSAGE = f"""
INSERT INTO messages ({MESSAGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET content = excluded.content, state = excluded.state, model = excluded.model, facts = excluded.facts
"""  # noqa: S608  (constants only)
_SHOW = "UPDATE conversations SET leaf = ?, updated = ? WHERE id = ?"
_SAVE_ATTACHMENT = f"""
INSERT INTO attachments ({ATTACHMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(id) DO UPDATE SET message = excluded.message, position = excluded.position
"""  # noqa: S608  (constants only)
_ATTACHMENTS = "SELECT {of}, name, kind, text, id, path FROM attachments WHERE {which} ORDER BY position"

_PLACES = "SELECT rowid FROM messages ORDER BY rowid DESC"
_LIKELY_PLACES = "SELECT rowid FROM message_words WHERE message_words MATCH ? ORDER BY rowid DESC"
"""FTS5 gives rows in this order as they are asked for: of words that are everywhere a few are looked at."""
_PLACES_OF_CHAT = "SELECT rowid FROM messages WHERE conversation = ?"
_IS_LISTED = "SELECT 1 FROM conversations WHERE id = ? AND deleted IS NULL"
_HELD_BY_MESSAGE = rf"""
SELECT conversation, id, substr(content, max(1, instr(lower(content), lower(:words)) - {_BEFORE}), {_SNIPPET})
FROM messages WHERE rowid = :row AND content LIKE :pattern ESCAPE '\'
"""  # noqa: S608  (constants only)
_FOUND_IN_TITLES = r"""
SELECT id, '', '' FROM conversations WHERE title LIKE :pattern ESCAPE '\' AND deleted IS NULL ORDER BY updated DESC
"""
_FOUND_IN_ATTACHMENTS = rf"""
SELECT conversation, message, name || ' · ' || substr(text, max(1, instr(lower(text), lower(:words)) - {_BEFORE}), {_SNIPPET})
FROM attachments WHERE message IS NOT NULL AND (name LIKE :pattern ESCAPE '\' OR text LIKE :pattern ESCAPE '\')
AND conversation IN (SELECT id FROM conversations WHERE deleted IS NULL) ORDER BY rowid DESC
"""  # noqa: S608  (constants only)
_Step = tuple[str, tuple[object, ...]]
"""A statement and its values."""


class HistoryError(ZhiyinError):
    """Chats cannot be read or written now."""


@dataclass(frozen=True)
class Deleted:
    """A chat in the trash."""

    conversation: Conversation
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Found:
    """A chat that has some words, in its newest message with them or in its title."""

    conversation: str
    message: str = ""
    """"": only the title has them."""
    snippet: str = ""
    """What stands around them, in a line."""


class History:
    """The store of all chats."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None keeps the chats in memory only.

        Raises:
            HistoryError: the file cannot be used, or a newer version of the application wrote it.
            ZhiyinError: the folder cannot be written.
        """
        self._path = path
        self._lock = own(path.parent) if path is not None else None
        self._owner = path is None or self._lock is not None
        self.recovery: Recovery | None = None
        try:
            with self._clear_errors():
                self._database = self._open_or_recover()
        except BaseException:
            self._release()
            raise
        if self._owner:
            work = self._work_folders()
            known = {conversation.id for conversation in self.conversations()}
            known |= {deleted.conversation.id for deleted in self.trash()}
            self._forget_states(known, "*")
            for folder in work:
                if folder.name not in known:
                    remove_tree(folder)

    def share(self) -> None:
        """Let a window have the folder from now on: what it tidies up is not this process's."""
        self._owner = False
        self._release()
        self._lock = None

    def close(self) -> None:
        """Close the file."""
        if self._owner:
            with suppress(sqlite3.Error):
                self._forget_old_states()
        self._database.close()
        self._release()

    def conversations(self) -> list[Conversation]:
        """Return all conversations, the last used first."""
        with self._clear_errors():
            rows = self._database.execute(
                f"SELECT {CONVERSATION_COLUMNS} FROM conversations WHERE deleted IS NULL ORDER BY updated DESC"  # noqa: S608
            ).fetchall()
            drafts = self._attachments("conversation", "message IS NULL")
        chats = map(conversation_of, rows)
        return [replace(chat, attachments=tuple(drafts.get(chat.id, ()))) for chat in chats]

    def messages(self, conversation: str) -> list[Message]:
        """Return all messages of a conversation, all branches, in the order in which they were made."""
        with self._clear_errors():
            rows = self._database.execute(
                f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ? ORDER BY created, rowid",  # noqa: S608
                (conversation,),
            ).fetchall()
            attached = self._attachments("message", "conversation = ? AND message IS NOT NULL", conversation)
        messages = map(message_of, rows)
        return [
            replace(message, attachments=tuple(attached[message.id])) if message.id in attached else message
            for message in messages
        ]

    def search(self, text: str) -> list[Found]:
        """Return the chats whose title or a message, of whichever branch, holds a text; A to Z in either case."""
        values = {"words": text, "pattern": "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"}
        with self._clear_errors():
            hits = self._found_in_messages(values)
            for statement in (_FOUND_IN_ATTACHMENTS, _FOUND_IN_TITLES):
                for conversation, message, around in self._database.execute(statement, values):
                    hits.setdefault(conversation, Found(conversation, message, _in_a_line(around)))
                    if len(hits) == _MOST_FOUND:
                        break
        return list(hits.values())

    def _found_in_messages(self, values: Mapping[str, str]) -> dict[str, Found]:
        """Return the chats of which a message holds a text, each with the newest one; no chat is looked at again."""
        match, hits, done = match_of(self._database, values["words"]), dict[str, Found](), set[int]()
        places = self._database.execute(*((_PLACES,) if match is None else (_LIKELY_PLACES, (match,))))
        for (row,) in places:
            held = None if row in done else self._database.execute(_HELD_BY_MESSAGE, {**values, "row": row}).fetchone()
            if held is None:
                continue
            chat, message, around = held
            done.update(other for (other,) in self._database.execute(_PLACES_OF_CHAT, (chat,)))
            if self._database.execute(_IS_LISTED, (chat,)).fetchone():
                hits[chat] = Found(chat, message, _in_a_line(around))
                if len(hits) == _MOST_FOUND:
                    break
        return hits

    def save_conversation(self, conversation: Conversation) -> None:
        """Add a conversation or replace what is stored of it."""
        self._write(*_conversation_steps(conversation))

    def save_message(self, message: Message) -> None:
        """Add a message or replace what is stored of it; what is attached to it never changes."""
        self._write(*_message_steps(message))

    def save_sent(self, conversation: Conversation, message: Message) -> None:
        """Store a message that was the conversation's draft until now."""
        self._write(*_conversation_steps(conversation), *_message_steps(message))

    def save_step(self, message: Message) -> None:
        """Save a message that ends the branch that is shown, in one transaction: it can be found whatever happens next."""
        self._write(*_message_steps(message), (_SHOW, (message.id, time.time(), message.conversation)))

    def add(self, conversation: Conversation, messages: Sequence[Message]) -> bool:
        """Add a whole chat, which is there as a whole or not at all; False: it was there, or in the trash, and stays."""
        with self._clear_errors():
            known = self._database.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation.id,)).fetchall()
        if not known:
            self._write(*_conversation_steps(conversation), *(step for one in messages for step in _message_steps(one)))
        return not known

    def remove_message(self, message: Message) -> None:
        """Delete one message; those that followed it follow the one before it."""
        move = "UPDATE messages SET parent = ? WHERE parent = ? AND conversation = ?"
        self._write(
            (move, (message.parent, message.id, message.conversation)),
            ("DELETE FROM messages WHERE id = ?", (message.id,)),
        )

    def put_back(self, message: Message, children: Sequence[str]) -> None:
        """Undo `remove_message`; `children` are the messages that followed it."""
        moves = (("UPDATE messages SET parent = ? WHERE id = ?", (message.id, child)) for child in children)
        self._write(*_message_steps(message), *moves)

    def folders(self) -> list[Folder]:
        """Return the folders of the list of chats, in order."""
        with self._clear_errors():
            rows = self._database.execute(f"SELECT {FOLDER_COLUMNS} FROM folders ORDER BY position").fetchall()  # noqa: S608
        return [folder_of(row) for row in rows]

    def save_folders(self, folders: Sequence[Folder]) -> None:
        """Add folders or replace what is stored of them."""
        self._write(*((_SAVE_FOLDER, (one.id, one.name, one.position, int(one.closed))) for one in folders))

    def delete_folder(self, folder: str) -> None:
        """Remove a folder; its chats stay, outside of it."""
        self._write(("DELETE FROM folders WHERE id = ?", (folder,)))

    def delete(self, conversation: str) -> None:
        """Put a conversation into the trash; `restore` brings it back for `TRASH_DAYS`."""
        self._write(("UPDATE conversations SET deleted = ? WHERE id = ?", (time.time(), conversation)))

    def restore(self, conversation: str) -> None:
        """Undo `delete`."""
        self._write(("UPDATE conversations SET deleted = NULL WHERE id = ?", (conversation,)))

    def trash(self) -> list[Deleted]:
        """Return the deleted conversations, the last one first."""
        with self._clear_errors():
            rows = self._database.execute(
                f"SELECT deleted, {CONVERSATION_COLUMNS} FROM conversations WHERE deleted IS NOT NULL ORDER BY deleted DESC"  # noqa: S608
            ).fetchall()
        return [Deleted(conversation_of(tuple(row)), time_of(deleted)) for deleted, *row in rows]

    def forget(self, conversations: Sequence[str]) -> None:
        """Delete conversations of the trash for good."""
        statement = "DELETE FROM conversations WHERE id = ? AND deleted IS NOT NULL"
        self._write(*((statement, (conversation,)) for conversation in conversations), (FORGET, ()))

    def _work_folders(self) -> list[Path]:
        """Return the folders of what chats' tools made."""
        with suppress(OSError):
            return list((self._path.parent / WORK).iterdir()) if self._path is not None else []
        return []

    def _forget_old_states(self) -> None:
        known = {identifier for (identifier,) in self._database.execute("SELECT id FROM conversations")}
        self._forget_states(known, "[!.]*")  # no unfinished files: the engine may be writing the last reply's state

    def _forget_states(self, known: set[str], pattern: str) -> None:
        """Remove what models remember of chats that are not `known` (`desktop_app.engine.state.chat_states`)."""
        if self._path is not None:
            with suppress(OSError):
                for file in (self._path.parent / STATES).glob(pattern):
                    if file.stem in known:
                        continue
                    if file.is_dir():
                        shutil.rmtree(file, ignore_errors=True)
                    else:
                        file.unlink()

    def _attachments(self, of: str, which: str, *values: str) -> dict[str, list[Attachment]]:
        """Return attachments by what they belong to."""
        by_message: dict[str, list[Attachment]] = {}
        for belongs_to, *row in self._database.execute(_ATTACHMENTS.format(of=of, which=which), values):
            by_message.setdefault(belongs_to, []).append(attachment_of(tuple(row)))
        return by_message

    def _write(self, *steps: _Step) -> None:
        """Do all of them or none."""
        with self._clear_errors(), self._database:
            for statement, values in steps:
                self._database.execute(statement, values)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _open_or_recover(self) -> sqlite3.Connection:
        path = self._path
        if self._owner and path is not None:
            _finish_recovery(path)
        try:
            database = _open(path)
        except sqlite3.DatabaseError as error:
            if path is None or not self._owner or not _is_damage(error):
                raise
            self.recovery = _recover(path)
            database = _open(path)
        if self._owner:
            _tidy(database)
            if path is not None:
                self.recovery = self.recovery or mend(database, path)
        return database

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _explained(error, self._path) from error


def _conversation_steps(conversation: Conversation) -> list[_Step]:
    """Return what stores a conversation and what goes with its draft."""
    kept = [one.id for one in conversation.attachments]
    others = f"conversation = ? AND message IS NULL AND id NOT IN ({', '.join('?' * len(kept))})"
    return [
        (_SAVE_CONVERSATION, conversation_row(conversation)),
        (f"DELETE FROM attachments WHERE {others}", (conversation.id, *kept)),  # noqa: S608  (marks only)
        *((_SAVE_ATTACHMENT, row) for row in attachment_rows(conversation.id, None, conversation.attachments)),
    ]


def _message_steps(message: Message) -> list[_Step]:
    rows = attachment_rows(message.conversation, message.id, message.attachments)
    return [(_SAVE_MESSAGE, message_row(message)), *((_SAVE_ATTACHMENT, row) for row in rows)]


def _in_a_line(text: str) -> str:
    """Return a part of a message without its line breaks and marks of Markdown and reasoning."""
    return " ".join(_MARKS.sub(" ", text).split())


def _open(path: Path | None) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, check_same_thread=False)
    database.text_factory = _decoded
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA secure_delete = ON")  # a deleted chat is gone from the disk too
        _check(database)
        _migrate(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _decoded(text: bytes) -> str:
    """Read a text that was damaged too, of which sqlite3 would give nothing."""
    return text.decode("utf-8", "replace")


def _tidy(database: sqlite3.Connection) -> None:
    """End what the application's last run left open."""
    with database:
        database.execute("DELETE FROM conversations WHERE deleted < ?", (time.time() - TRASH_DAYS * 86_400,))
        database.execute("UPDATE messages SET state = 'interrupted' WHERE state = 'streaming'")


def _check(database: sqlite3.Connection) -> None:
    [(finding,)] = database.execute("PRAGMA quick_check(1)").fetchall()
    if finding != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {finding}")


def _migrate(database: sqlite3.Connection, path: Path | None) -> None:
    """Bring the file to this version, each step in one transaction; of two programs that open it at once, one does it."""
    while (version := _version(database)) < len(MIGRATIONS):
        with database:
            database.execute("BEGIN IMMEDIATE")
            if _version(database) == version:
                for statement in _statements(MIGRATIONS[version]):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version + 1}")
    if version > len(MIGRATIONS):
        raise HistoryError(
            "The chats in {path} were written by a newer Zhiyin; install that version again. The file was not touched.",
            path=path,
        )


def _version(database: sqlite3.Connection) -> int:
    [(version,)] = database.execute("PRAGMA user_version").fetchall()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """Yield a script's statements; `executescript` would end the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _recover(path: Path) -> Recovery:
    """Copy what can be read of a damaged file into a new one, then put the damaged one aside.

    The damaged file stays where it is until the new one is whole: a full disk in between loses nothing.
    """
    new = _recovered_name(path)
    _remove(new)
    with closing(_open(new)) as database:
        with database:
            _salvage(path, database, "folders", FOLDER_COLUMNS)
            conversations = _salvage(path, database, "conversations", f"{CONVERSATION_COLUMNS}, deleted")
            messages = _salvage(path, database, "messages", MESSAGE_COLUMNS)
            _salvage(path, database, "attachments", ATTACHMENT_COLUMNS)
            adopt_orphans(database)
        database.execute("PRAGMA journal_mode = DELETE")  # the whole of it is in one file
    aside = free_path(path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"))
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    new.replace(path)
    return Recovery(aside, conversations, messages)


def _finish_recovery(path: Path) -> None:
    """Take up a recovered file where the process ended just before it got its name."""
    if not path.exists() and _recovered_name(path).exists():
        _remove(path)  # what belonged to the damaged file would be taken for the new one's
        _recovered_name(path).replace(path)


def _recovered_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovered")


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _salvage(damaged: Path, target: sqlite3.Connection, table: str, columns: str) -> int:
    """Copy the readable rows of a table, reading from both ends towards the damage; return their number."""
    with (
        closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as source,
        foreign_keys_off(target),
    ):
        source.text_factory = _decoded
        columns = _shared_columns(source, table, columns)
        insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks(columns)})"  # noqa: S608
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.DatabaseError):
                for row in source.execute(f"SELECT {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}"):  # noqa: S608
                    target.execute(insert, row)
    [(count,)] = target.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
    return int(count)


def _shared_columns(source: sqlite3.Connection, table: str, columns: str) -> str:
    """Return those of the columns that the file has: an older version's lacks the newer ones."""
    with suppress(sqlite3.DatabaseError):
        present = {name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")}
        return ", ".join(name for name in columns.split(", ") if name in present) or columns
    return columns


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return any(words in str(error) for words in ("malformed", "not a database", "corrupt"))


_CAUSES: tuple[tuple[str, Callable[[str], HistoryError]], ...] = (
    (
        "disk is full",
        lambda path: HistoryError("The disk is full, so {path} cannot take more; free some space.", path=path),
    ),
    ("readonly", lambda path: HistoryError("{path} cannot be written; allow writing to it.", path=path)),
    (
        "unable to open",
        lambda path: HistoryError("{path} cannot be opened; allow reading and writing in its folder.", path=path),
    ),
    ("locked", lambda path: HistoryError("{path} is in use by another program; close it.", path=path)),
    (
        "malformed",
        lambda path: HistoryError("{path} is damaged; start Zhiyin again to recover what can be read.", path=path),
    ),
)
"""SQLite's words, which Python 3.10 has no codes for."""


def _explained(error: Exception, path: Path | None) -> HistoryError:
    text = str(error)
    for words, explained in _CAUSES:
        if words in text:
            return explained(visible(str(path)))
    return HistoryError("{path} cannot be used ({reason}).", path=visible(str(path)), reason=text)
