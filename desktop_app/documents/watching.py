"""Which collections are not as they were indexed, because files changed or indexing was cut off. Nothing heavy is imported.

The files are looked at again and again: what systems tell of changes is lost on network drives, and in folders of many folders.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Container
from contextlib import closing, suppress
from pathlib import Path

from desktop_app.documents.sources import changes

_SETTLED = 3.0
"""Seconds since its last change, before which a file may still be written."""


def outdated(store: Path, without: Container[str] = ()) -> list[str]:
    """Return the collections of a store that are to be indexed again.

    Args:
        store: the file of all collections.
        without: those that are not looked at.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT id, name FROM collections WHERE chat = '' ORDER BY name").fetchall()
        return [name for number, name in rows if name not in without and _is_outdated(database, number)]
    return []


def _is_outdated(database: sqlite3.Connection, collection: int) -> bool:
    sources = tuple(
        path for (path,) in database.execute("SELECT path FROM sources WHERE collection = ?", (collection,))
    )
    files = database.execute("SELECT path, bytes, modified FROM files WHERE collection = ?", (collection,))
    gone, changed = changes(sources, {path: (size, modified) for path, size, modified in files})
    latest = (time.time() - _SETTLED) * 1e9
    return (
        bool(gone) or any(modified < latest for _, modified in changed.values()) or _was_cut_off(database, collection)
    )


def _was_cut_off(database: sqlite3.Connection, collection: int) -> bool:
    """Tell whether vectors were begun and not all of them made."""
    return (
        database.execute(
            "SELECT 1 FROM passages JOIN files ON files.id = passages.file JOIN collections ON collections.id = files.collection "
            "WHERE collections.id = ? AND model != '' AND passages.id NOT IN (SELECT passage FROM vectors) LIMIT 1",
            (collection,),
        ).fetchone()
        is not None
    )
