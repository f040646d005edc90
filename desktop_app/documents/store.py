"""All collections in one SQLite file: what belongs to them, the passages, their words and vectors.

A file's passages, their words and the file's own row are written in one transaction, vectors in later ones: what a kill or a full
disk interrupts is as if it had not begun, and what lacks vectors is found. Used from one thread; several processes may have the
file open.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from desktop_app.documents.chunking import Passage
from desktop_app.documents.words import index_terms, match_expression
from models.errors import ZhiyinError, error_from_data

_BUSY_SECONDS = 20.0
_NAME = re.compile(r"[^,\x00-\x1f\x7f]{1,200}")
"""Of a collection: several are named with commas between them."""
_COUNTED = 2000
"""Passages with a term that are counted at most: more of them make no difference to its weight."""
_SCHEMA_1 = """
CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT NOT NULL DEFAULT '');
CREATE TABLE sources (
    collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    PRIMARY KEY (collection, path)
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    pages INTEGER NOT NULL DEFAULT 0,
    characters INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    UNIQUE (collection, path)
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    page INTEGER NOT NULL,
    last_page INTEGER NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX passages_of_files ON passages(file, number);
CREATE TABLE vectors (passage INTEGER PRIMARY KEY REFERENCES passages(id) ON DELETE CASCADE, data BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(terms, content='', tokenize='porter unicode61 remove_diacritics 2');
"""
_SCHEMA_2 = "ALTER TABLE collections ADD COLUMN chat TEXT NOT NULL DEFAULT ''"
_SCHEMA_3 = """
CREATE TABLE new_collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL DEFAULT '',
    chat TEXT NOT NULL DEFAULT ''
);
INSERT INTO new_collections SELECT id, name, model, chat FROM collections;
DROP TABLE collections;
ALTER TABLE new_collections RENAME TO collections;
CREATE TABLE new_passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    page INTEGER NOT NULL,
    last_page INTEGER NOT NULL,
    headings TEXT NOT NULL,
    text TEXT NOT NULL
);
INSERT INTO new_passages SELECT id, file, number, page, last_page, headings, text FROM passages;
DROP TABLE passages;
ALTER TABLE new_passages RENAME TO passages;
CREATE INDEX passages_of_files ON passages(file, number);
CREATE TABLE measures (model TEXT PRIMARY KEY, count INTEGER NOT NULL, data BLOB NOT NULL);
"""
"""No number of a collection or a passage is given twice: what another process still does for one that is gone is lost with it."""
MIGRATIONS = (_SCHEMA_1, _SCHEMA_2, _SCHEMA_3)
"""The scripts that lead from version n to n + 1. Append; never change one that was published."""
VERSION = len(MIGRATIONS)


class StoreError(ZhiyinError):
    """The collections cannot be read or written now."""

    default_code = "documents"


class NoCollection(ZhiyinError):
    """There is no collection of that name."""

    default_code = "no-collection"


@dataclass(frozen=True)
class Collection:
    """A named set of files and folders."""

    id: int
    name: str
    sources: tuple[str, ...]
    files: int
    passages: int
    waiting: int
    """Passages without a vector."""
    failed: int
    """Files of which nothing could be read."""
    model: str
    """The embedding model's file name, "" before the first vector."""

    @property
    def with_vector(self) -> int:
        """Passages that have a vector."""
        return self.passages - self.waiting


@dataclass(frozen=True)
class StoredFile:
    """A file of a collection."""

    id: int
    path: str
    bytes: int
    modified: int
    """Nanoseconds since 1970."""
    pages: int
    characters: int
    error: ZhiyinError | None


@dataclass(frozen=True)
class StoredPassage:
    """A passage with where it comes from."""

    id: int
    file: int
    path: str
    number: int
    """Of the passages of its file, from 0."""
    page: int
    last_page: int
    headings: str
    text: str


class Store:
    """The collections."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            StoreError: it is damaged, cannot be used, or a newer version of the application wrote it.
        """
        self.path = path
        with self._clear_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA secure_delete = ON")
            self._migrate()  # tables are replaced there, and nothing is deleted with the old ones
            self._database.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Collections

    def add(self, name: str, sources: Sequence[Path]) -> Collection:
        """Add files and folders to a collection, which is made if there is none of that name.

        Raises:
            StoreError: a new one cannot have that name.
        """
        with self._writing():
            known = self._database.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone()
            if known is None and not _NAME.fullmatch(name.strip()):
                raise StoreError(
                    "A collection needs a name without commas and line breaks; {name!r} is none.",
                    name=name,
                    code="name",
                )
            self._database.execute("INSERT OR IGNORE INTO collections (name) VALUES (?)", (name,))
            number = self._number(name)
            self._database.executemany(
                "INSERT OR IGNORE INTO sources VALUES (?, ?)", [(number, str(path)) for path in sources]
            )
        return self.collection(name)

    def collections(self) -> list[Collection]:
        """Return all collections by name."""
        with self._clear_errors():
            names = [
                name for (name,) in self._database.execute("SELECT name FROM collections WHERE chat = '' ORDER BY name")
            ]
        return [self.collection(name) for name in names]

    def collection(self, name: str) -> Collection:
        """Return a collection; raises `NoCollection`."""
        with self._clear_errors():
            number = self._number(name)

            def one(sql: str) -> Any:
                return self._database.execute(sql, (number,)).fetchone()[0]

            sources = self._database.execute("SELECT path FROM sources WHERE collection = ? ORDER BY path", (number,))
            return Collection(
                id=number,
                name=name,
                sources=tuple(path for (path,) in sources),
                files=one("SELECT count(*) FROM files WHERE collection = ?"),
                passages=one(f"SELECT count(*) {_OF_COLLECTION}"),
                waiting=one(f"SELECT count(*) {_OF_COLLECTION} AND passages.id NOT IN (SELECT passage FROM vectors)"),
                failed=one("SELECT count(*) FROM files WHERE collection = ? AND error IS NOT NULL AND characters = 0"),
                model=one("SELECT model FROM collections WHERE id = ?"),
            )

    def remove(self, name: str) -> None:
        """Remove a collection with all that was made of its files, which themselves stay; raises `NoCollection`."""
        with self._writing():
            number = self._number(name)
            for (file,) in self._database.execute("SELECT id FROM files WHERE collection = ?", (number,)).fetchall():
                self._forget_passages(file)
            self._database.execute("DELETE FROM collections WHERE id = ?", (number,))
        self._shrink()

    def remove_source(self, name: str, source: str) -> None:
        """Take a file or folder out of a collection; what was made of it goes with the next indexing.

        Raises:
            NoCollection: there is none of that name.
            StoreError: it is not in there.
        """
        with self._writing():
            removed = self._database.execute(
                "DELETE FROM sources WHERE collection = ? AND path = ?", (self._number(name), source)
            )
            if removed.rowcount == 0:
                raise StoreError(
                    "{path} was not added to the collection {name!r}; name a file or folder that was.",
                    path=Path(source),
                    name=name,
                    code="no-source",
                )

    def files(self, name: str) -> list[StoredFile]:
        """Return a collection's files by path."""
        with self._clear_errors():
            rows = self._database.execute(
                "SELECT id, path, bytes, modified, pages, characters, error FROM files WHERE collection = ? ORDER BY path",
                (self._number(name),),
            ).fetchall()
        return [
            StoredFile(number, path, size, modified, pages, characters, _error(error))
            for number, path, size, modified, pages, characters, error in rows
        ]

    # Attachments of chats that do not fit a context

    def attached(self, chat: str, attachment: str) -> Collection | None:
        """Return what was made of a chat's attachment; None: nothing, or not all of it."""
        with self._clear_errors():
            row = self._database.execute(
                "SELECT 1 FROM collections JOIN files ON files.collection = collections.id WHERE name = ? AND chat = ?",
                (_hidden(attachment), chat),
            ).fetchone()
        return None if row is None else self.collection(_hidden(attachment))

    def attach(self, chat: str, attachment: str, name: str, passages: Sequence[Passage]) -> Collection:
        """Store the passages of a chat's attachment in a collection of its own, which no list shows.

        Args:
            chat: whose end is the attachment's, too.
            attachment: its key.
            name: of the file, or its path.
            passages: of its text.
        """
        hidden = _hidden(attachment)
        with self._writing():
            self._database.execute("INSERT OR IGNORE INTO collections (name, chat) VALUES (?, ?)", (hidden, chat))
        self.put(self.collection(hidden).id, name, (0, 0), passages)
        return self.collection(hidden)

    def forget_chats(self, known: Container[str]) -> None:
        """Remove what was made of attachments of chats that are gone."""
        with self._clear_errors():
            rows = self._database.execute("SELECT name, chat FROM collections WHERE chat != ''").fetchall()
        for name in [name for name, chat in rows if chat not in known]:
            self.remove(name)

    # What indexing writes

    def put(
        self,
        collection: int,
        path: str,
        status: tuple[int, int],
        passages: Sequence[Passage],
        *,
        pages: int = 0,
        error: ZhiyinError | None = None,
    ) -> None:
        """Store what was made of a file, in the place of what was made of it before.

        Args:
            collection: its number.
            path: of the file.
            status: its bytes and when it was changed, before it was read.
            passages: of its text.
            pages: that it has.
            error: why there are none, or not all.
        """
        written = None if error is None else json.dumps(error.data(), default=str)
        characters = sum(len(passage.text) for passage in passages)
        with self._writing():
            if self._database.execute("SELECT 1 FROM collections WHERE id = ?", (collection,)).fetchone() is None:
                return  # it was removed meanwhile
            row = self._database.execute(
                "SELECT id FROM files WHERE collection = ? AND path = ?", (collection, path)
            ).fetchone()
            if row is not None:
                self._forget_passages(row[0])
                self._database.execute("DELETE FROM files WHERE id = ?", row)
            file = self._database.execute(
                "INSERT INTO files (collection, path, bytes, modified, pages, characters, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (collection, path, *status, pages, characters, written),
            ).lastrowid
            for number, passage in enumerate(passages):
                made = self._database.execute(
                    "INSERT INTO passages (file, number, page, last_page, headings, text) VALUES (?, ?, ?, ?, ?, ?)",
                    (file, number, passage.page, passage.last_page, passage.headings, passage.text),
                ).lastrowid
                terms = index_terms(f"{passage.headings}\n{passage.text}")
                self._database.execute("INSERT INTO words (rowid, terms) VALUES (?, ?)", (made, terms))

    def drop_file(self, file: int) -> None:
        """Forget a file that is gone."""
        with self._writing():
            self._forget_passages(file)
            self._database.execute("DELETE FROM files WHERE id = ?", (file,))

    def without_vectors(self, collection: int, count: int, after: int = 0) -> list[tuple[int, str, str]]:
        """Return some passages behind the number `after` that lack a vector: number, headings, text."""
        with self._clear_errors():
            return self._database.execute(
                f"SELECT passages.id, headings, text {_OF_COLLECTION} "
                "AND passages.id > ? AND passages.id NOT IN (SELECT passage FROM vectors) ORDER BY passages.id LIMIT ?",
                (collection, after, count),
            ).fetchall()

    def put_vectors(self, passages: Sequence[int], vectors: np.ndarray) -> None:
        """Store vectors, float32 [passages, dimensions], as 16-bit floats; those of passages that are gone are dropped."""
        rows = [(number, row.tobytes()) for number, row in zip(passages, vectors.astype("<f2"), strict=True)]
        with self._writing():
            self._database.executemany("INSERT OR REPLACE INTO vectors SELECT id, ?2 FROM passages WHERE id = ?1", rows)

    def set_model(self, collection: int, model: str) -> None:
        """Note which model makes a collection's vectors; those of another one are dropped."""
        with self._writing():
            (before,) = self._database.execute("SELECT model FROM collections WHERE id = ?", (collection,)).fetchone()
            if before == model:
                return
            self._database.execute(
                f"DELETE FROM vectors WHERE passage IN (SELECT passages.id {_OF_COLLECTION})",
                (collection,),
            )
            self._database.execute("UPDATE collections SET model = ? WHERE id = ?", (model, collection))

    def measure(self, key: str) -> np.ndarray | None:
        """Return the vectors that an embedding model is measured by (`relevance.py`), float32 [texts, dimensions], or None."""
        with self._clear_errors():
            row = self._database.execute("SELECT count, data FROM measures WHERE model = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[1], "<f2").astype(np.float32).reshape(row[0], -1)

    def keep_measure(self, key: str, vectors: np.ndarray) -> None:
        """Keep these vectors, float32 [texts, dimensions]."""
        row = (key, len(vectors), vectors.astype("<f2").tobytes())
        with self._writing():
            self._database.execute("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", row)

    # What retrieval reads

    def lexical(self, collections: Sequence[int], terms: list[str], count: int) -> list[tuple[int, float]]:
        """Return the passages that hold most of the terms, the best ones first, with their scores (BM25, larger is better)."""
        if not terms or not collections:
            return []
        expression = match_expression(terms)
        with self._clear_errors():
            # FTS5 ranks by itself much faster than the join below; enough of what it finds is mostly of these collections.
            rows = self._database.execute(
                "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?", (expression, 2 * count)
            ).fetchall()
            owners = self._owners([number for number, _ in rows])
            rows_kept = [row for row in rows if owners.get(row[0]) in collections]
            if len(rows_kept) < count and len(rows) == 2 * count:
                rows_kept = self._database.execute(
                    "SELECT words.rowid, -bm25(words) AS score FROM words JOIN passages ON passages.id = words.rowid "
                    f"JOIN files ON files.id = passages.file WHERE words MATCH ? AND files.collection IN ({_marks(collections)}) "
                    "ORDER BY score DESC LIMIT ?",
                    (expression, *collections, count),
                ).fetchall()
        return [(int(number), float(score)) for number, score in rows_kept[:count]]

    def _owners(self, passages: Sequence[int]) -> dict[int, int]:
        """Return the collections of passages."""
        return dict(
            self._database.execute(
                "SELECT passages.id, files.collection FROM passages JOIN files ON files.id = passages.file "
                f"WHERE passages.id IN ({_marks(passages)})",
                tuple(passages),
            ).fetchall()
        )

    def rarities(self, terms: list[str]) -> dict[str, float]:
        """Return how much each term tells: its inverse document frequency."""
        with self._clear_errors():
            (count,) = self._database.execute("SELECT count(*) FROM passages").fetchone()
            rarities = {}
            for term in terms:
                (holding,) = self._database.execute(
                    "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)",
                    (match_expression([term]), _COUNTED),
                ).fetchone()
                rarities[term] = math.log(1 + count / (holding + 0.5))
        return rarities

    def vectors(self, collections: Sequence[int], model: str) -> tuple[np.ndarray, np.ndarray]:
        """Return all vectors of collections that a model made: the passages' numbers [n], and float32 [n, dimensions]."""
        with self._clear_errors():
            rows = self._database.execute(
                "SELECT vectors.passage, vectors.data FROM vectors JOIN passages ON passages.id = vectors.passage "
                f"JOIN files ON files.id = passages.file WHERE files.collection IN ({_marks(collections)}) "
                "AND files.collection IN (SELECT id FROM collections WHERE model = ?)",
                (*collections, model),
            ).fetchall()
        length = len(rows[0][1]) if rows else 0
        rows = [row for row in rows if len(row[1]) == length]
        numbers = np.array([number for number, _ in rows], np.int64)
        flat = np.frombuffer(b"".join(data for _, data in rows), "<f2").astype(np.float32)
        return numbers, flat.reshape(len(rows), length // 2)

    def state(self) -> tuple[int, int]:
        """Return what changes with every change of the file by any process."""
        with self._clear_errors():
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
        return int(version), self._database.total_changes

    def passages(self, numbers: Sequence[int]) -> dict[int, StoredPassage]:
        """Return passages by number; those that are gone are left out."""
        with self._clear_errors():
            rows = self._database.execute(
                f"SELECT {_COLUMNS} WHERE passages.id IN ({_marks(numbers)})", tuple(numbers)
            ).fetchall()
        return {row[0]: StoredPassage(*row) for row in rows}

    # Below

    def _number(self, name: str) -> int:
        row = self._database.execute("SELECT id FROM collections WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NoCollection("There is no collection {name!r}; `zhiyin docs list` lists them.", name=name)
        return int(row[0])

    def _forget_passages(self, file: int) -> None:
        rows = self._database.execute("SELECT id, headings, text FROM passages WHERE file = ?", (file,)).fetchall()
        for number, headings, text in rows:
            self._database.execute(
                "INSERT INTO words (words, rowid, terms) VALUES ('delete', ?, ?)",
                (number, index_terms(f"{headings}\n{text}")),
            )
        self._database.execute("DELETE FROM passages WHERE file = ?", (file,))

    def _migrate(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                "{path} was written by a newer version of Zhiyin; update this one.", path=self.path, code="newer"
            )
        if version < VERSION:
            with self._writing():
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                for script in MIGRATIONS[version:]:  # none, where another process has run them meanwhile
                    for statement in filter(None, map(str.strip, script.split(";"))):
                        self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {VERSION}")

    def _shrink(self) -> None:
        """Give back the room of what was removed."""
        with self._clear_errors():
            self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
            self._database.execute("VACUUM")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Do all or nothing."""
        with self._clear_errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if hasattr(self, "_database") and self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise _store_error(self.path, error) from error


_OF_COLLECTION = "FROM passages JOIN files ON files.id = passages.file WHERE files.collection = ?"
_COLUMNS = (
    "passages.id, passages.file, files.path, passages.number, passages.page, passages.last_page, passages.headings, "
    "passages.text FROM passages JOIN files ON files.id = passages.file"
)


def _hidden(attachment: str) -> str:
    """Return the name of an attachment's collection, which nobody can type."""
    return f"\0{attachment}"


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _error(written: str | None) -> ZhiyinError | None:
    return None if written is None else error_from_data(json.loads(written))


def _store_error(path: Path, error: sqlite3.Error) -> StoreError:
    if "full" in str(error):
        return StoreError(
            "The disk is full: {path} cannot grow; free some space and go on.", path=path, code="disk-full"
        )
    if "locked" in str(error):
        return StoreError("{path} is in use by another program; try again later.", path=path, code="busy")
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return StoreError(
            "{path} is damaged ({reason}); delete it, and add the collections again.", path=path, reason=error
        )
    return StoreError("{path} cannot be used ({reason}).", path=path, reason=error)
