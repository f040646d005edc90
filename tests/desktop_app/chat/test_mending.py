"""A database that SQLite reads well and whose rows hold nonsense: the rest works, a copy is put aside, and it is said."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.history import History
from desktop_app.chat.rows import lost_parents

GOOD = {"tokens": 7, "seconds": 0.5, "reason": "end", "prompt_tokens": 9, "prompt_seconds": 1.5, "context": 2048}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chats.sqlite3"
    with closing(History(path)) as history:
        history.save_conversation(Conversation("tea", "Tea", leaf="3"))
        history.save_conversation(Conversation("other", "Other"))
        for number in range(4):
            parent = str(number - 1) if number else None
            role = "user" if number % 2 == 0 else "assistant"
            history.save_message(
                Message("tea", parent, role, f"text {number}", str(number), 10.0 + number, facts=dict(GOOD))  # type: ignore[arg-type]
            )
    return path


def _change(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def _messages(path: Path, *, mended: bool) -> list[Message]:
    """Read twice: what is mended once is whole from then on."""
    with closing(History(path)) as history:
        assert (history.recovery is not None) is mended
        if history.recovery is not None:
            with closing(sqlite3.connect(history.recovery.damaged)) as copy:
                assert copy.execute("SELECT count(*) FROM messages").fetchall() == [(4,)]
        history.conversations()
        messages = history.messages("tea")
    with closing(History(path)) as history:
        assert history.recovery is None
        assert history.messages("tea") == messages
    return messages


def test_a_whole_file_is_left_alone(path: Path) -> None:
    assert [message.facts for message in _messages(path, mended=False)] == [GOOD] * 4
    assert len(list(path.parent.glob("*damaged*"))) == 0


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        b"\x00\xff",
        "[" * 100_000,
        '{"tokens": ' * 5_000 + "1" + "}" * 5_000,
        '{"tokens": "many", "seconds": [], "context": -1, "prompt_tokens": 1e999, "reason": 7}',
        '{"error": 7}',
        '{"error": {}}',
        '{"error": {"class": "BadFile", "code": "x", "template": "{a.b.c}", "values": {"a": 1}}}',
        '{"error": {"class": "BadFile", "code": [1], "template": "x", "values": {}}}',
        '{"error": {"class": "BadFile", "code": "x", "template": "{", "values": {"a": 1}}}',
        '{"error": {"class": "BadFile", "code": "x", "template": "x", "values": {"self": 1}}}',
        '{"error": {"class": 3, "code": "x", "template": 3, "values": 3}}',
        '{"message": 3, "cause": []}',
    ],
    ids=lambda facts: str(facts[:40]),
)
def test_damaged_facts_lose_themselves_alone(path: Path, facts: str | bytes) -> None:
    _change(path, "UPDATE messages SET facts = ? WHERE id = '1'", facts)
    messages = _messages(path, mended=True)
    assert [message.content for message in messages] == ["text 0", "text 1", "text 2", "text 3"]
    assert [message.facts for message in messages] == [GOOD, {}, GOOD, GOOD]


def test_good_facts_beside_damaged_ones_stay(path: Path) -> None:
    _change(path, "UPDATE messages SET facts = ? WHERE id = '1'", json.dumps(GOOD | {"seconds": "long"}))
    assert _messages(path, mended=True)[1].facts == {key: GOOD[key] for key in GOOD if key != "seconds"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("role", "wizard"),
        ("role", b"\xff"),
        ("state", "asleep"),
        ("created", "yesterday"),
        ("created", 1e300),
        ("created", -5),
        ("model", b"\x00"),
        ("content", b"\xff\xfe"),
        ("parent", b"\x01"),
        ("parent", "nobody"),
        ("id", b"\x03"),
        ("conversation", b"tea"),
    ],
)
def test_damaged_columns_lose_themselves_alone(path: Path, column: str, value: object) -> None:
    _change(path, "PRAGMA foreign_keys = OFF")
    _change(path, f"UPDATE messages SET {column} = ? WHERE id = '3'", value)  # noqa: S608
    messages = _messages(path, mended=True)
    assert len(messages) == 4
    assert sum(message.content.startswith("text") for message in messages) >= 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", b"\xff"),
        ("created", "x"),
        ("updated", 1e300),
        ("draft", b"\xfe"),
        ("thinking", "maybe"),
        ("effort", "huge"),
        ("leaf", b"1"),
    ],
)
def test_damaged_chats_lose_the_value_alone(path: Path, column: str, value: object) -> None:
    _change(path, f"UPDATE conversations SET {column} = ? WHERE id = 'tea'", value)  # noqa: S608
    assert len(_messages(path, mended=True)) == 4
    with closing(History(path)) as history:
        assert {chat.id for chat in history.conversations()} == {"tea", "other"}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "parents",
    [{"0": "0"}, {"0": "3"}, {"1": "2", "2": "1"}, {"0": "1", "1": "0", "2": "3", "3": "2"}, {"1": "1", "2": "nobody"}],
    ids=repr,
)
def test_circles_are_cut(path: Path, parents: dict[str, str]) -> None:
    for message, parent in parents.items():
        _change(path, "UPDATE messages SET parent = ? WHERE id = ?", parent, message)
    messages = _messages(path, mended=True)
    tree = MessageTree(messages)
    assert all(tree.path(message.id)[0].parent is None for message in messages)
    assert lost_parents({message.id: message.parent for message in messages}) == set()


@pytest.mark.timeout(30)
def test_a_tree_with_a_circle_ends(path: Path) -> None:
    """Of a process that may not mend."""
    messages = [
        Message("tea", parent, "user", "", name) for name, parent in (("a", "c"), ("b", "a"), ("c", "b"), ("d", "d"))
    ]
    tree = MessageTree(messages)
    assert [message.id for message in tree.path("c")] == ["a", "b", "c"]
    assert tree.newest_leaf("a") in tree
    assert tree.newest_leaf() is None
    assert [message.id for message in tree.path("d")] == ["d"]


def test_messages_without_a_chat_get_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE messages SET conversation = 'lost' WHERE id IN ('2', '3')")
    with closing(History(path)) as history:
        assert history.recovery is not None
        assert len(history.messages("lost")) == 2
        assert {chat.id for chat in history.conversations()} == {"tea", "other", "lost"}


def test_bytes_that_are_no_text_are_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE messages SET content = CAST(x'746561ff' AS TEXT) WHERE id = '1'")
    with closing(History(path)) as history:
        assert [message.content for message in history.messages("tea")] == ["text 0", "tea�", "text 2", "text 3"]


def test_where_no_copy_can_be_made_nothing_is_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _change(path, "UPDATE messages SET facts = '{' WHERE id = '1'")
    monkeypatch.setattr("desktop_app.chat.mending.free_path", lambda wanted: wanted / "no folder" / "copy")
    with closing(History(path)) as history:
        assert history.recovery is None
        assert [message.facts for message in history.messages("tea")] == [GOOD, {}, GOOD, GOOD]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT facts FROM messages WHERE id = '1'").fetchall() == [("{",)]
