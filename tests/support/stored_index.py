"""What holds for the file of all collections, whatever happened to who wrote it."""

from __future__ import annotations

import sqlite3

from desktop_app.documents.store import Store


def check_whole(store: Store) -> None:
    """Each passage is there once and has its words, vectors belong to passages, and there is nothing else."""
    database = sqlite3.connect(store.path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    passages = {row for (row,) in database.execute("SELECT id FROM passages")}
    words = {row for (row,) in database.execute("SELECT rowid FROM words")}
    assert passages == words
    assert database.execute("SELECT count(*) - count(DISTINCT file || ' ' || number) FROM passages").fetchone() == (0,)
    assert database.execute("SELECT count(DISTINCT length(data)) < 2 FROM vectors").fetchone() == (1,)
    database.close()
