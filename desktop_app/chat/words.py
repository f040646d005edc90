"""Which messages may hold a text: an index of all their runs of three characters, in any script (SQLite's FTS5).

The index has no text of its own: it follows the table of messages by triggers, without replies that are being written. What it
names is looked at once more, since runs of a text may stand apart.
"""

from __future__ import annotations

import sqlite3

_RUN = 3
_PADDED = "{row}.content || '  '"
"""The end of a text begins runs too, so that two characters are found there."""
_LATER = "\U0010ffff"
_MOST_RUNS = 500
_WORDS = "INSERT INTO message_words(rowid, text) SELECT {row}.rowid, " + _PADDED + " WHERE {row}.state <> 'streaming'"
_GONE = (
    "INSERT INTO message_words(message_words, rowid, text) "
    "SELECT 'delete', {row}.rowid, " + _PADDED + " WHERE {row}.state <> 'streaming'"
)
WORDS_SCHEMA = f"""
CREATE VIRTUAL TABLE message_words USING fts5(text, content='', tokenize='trigram', detail='none');
CREATE VIRTUAL TABLE message_runs USING fts5vocab(message_words, row);
CREATE TRIGGER message_words_added AFTER INSERT ON messages BEGIN {_WORDS.format(row="new")}; END;
CREATE TRIGGER message_words_deleted AFTER DELETE ON messages BEGIN {_GONE.format(row="old")}; END;
CREATE TRIGGER message_words_changed AFTER UPDATE OF content, state ON messages
WHEN old.content <> new.content OR old.state <> new.state
BEGIN {_GONE.format(row="old")}; {_WORDS.format(row="new")}; END;
INSERT INTO message_words(rowid, text) SELECT rowid, content || '  ' FROM messages WHERE state <> 'streaming';
"""  # noqa: S608  (constants only)
"""A migration: the index, and what keeps it up to date whichever program writes."""

FORGET = "INSERT INTO message_words(message_words) VALUES ('optimize')"
"""Takes what was deleted out of the index's pages too."""


def match_of(database: sqlite3.Connection, words: str) -> str | None:
    """Return what the index is asked for a text; None: the index cannot tell, so that every message is to be looked at."""
    if len(words) >= _RUN:
        runs = (words[at : at + _RUN] for at in range(len(words) - _RUN + 1))
        return " AND ".join(dict.fromkeys(_quoted(run.lower()) for run in runs if _is_folded_alike(run))) or None
    if not _is_folded_alike(words):
        return None
    text = words.lower()
    rows = database.execute(
        "SELECT term FROM message_runs WHERE term >= ? AND term < ? LIMIT ?", (text, text + _LATER, _MOST_RUNS + 1)
    ).fetchall()
    if not text or len(rows) > _MOST_RUNS:
        return None
    return " OR ".join(_quoted(term) for (term,) in rows) or _quoted(_LATER * _RUN)


def _is_folded_alike(text: str) -> bool:
    """Tell whether SQLite makes the same small letters of a text as Python: of some beyond ASCII it makes none."""
    return all(sign.isascii() or sign.lower() == sign for sign in text)


def _quoted(run: str) -> str:
    return '"' + run.replace('"', '""') + '"'
