"""Chats on disk: two processes on one folder, a kill, a damaged file. Real processes, real SQLite."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import desktop_app.chat.history
from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History, HistoryError
from desktop_app.processes.folder_lock import own

_OTHER = """
import sys
from pathlib import Path
from desktop_app.chat.attachment import Attachment
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
history = History(Path(sys.argv[1]))
for name in ("kept", "deleted"):
    history.save_conversation(Conversation(name, title=name))
history.save_message(Message("kept", None, "user", "Hello", "q"))
history.save_message(Message("kept", "q", "assistant", "Half a rep", "a", state="streaming"))
history.delete("deleted")
print("ready", flush=True)
sys.stdin.read()
history.save_message(Message("kept", "q", "assistant", "Half a reply and the rest.", "a"))
history.restore("deleted")
history.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.sqlite3"


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another application on the same folder, in the middle of a reply, with a deleted chat that may come back."""
    command = [sys.executable, "-c", _OTHER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def states(history: History) -> dict[str, str]:
    return {message.id: message.state for message in history.messages("kept")}


def titles(history: History) -> set[str]:
    return {conversation.title for conversation in history.conversations()}


def test_chats_are_found_by_title_and_by_every_message(path: Path) -> None:
    with closing(History(path)) as history:
        chats = {title: Conversation(title=title) for title in ("Tea and rain", "Poems", "100 % and a_b", "C:\\models")}
        for chat in chats.values():
            history.save_conversation(chat)
        history.save_message(Message(chats["Poems"].id, None, "user", "床前明月光"))
        history.save_message(Message(chats["Poems"].id, None, "assistant", "An older branch about TEA"))

        def found(words: str) -> set[str]:
            return {
                title for title, chat in chats.items() if chat.id in {one.conversation for one in history.search(words)}
            }

        assert found("tea") == {"Tea and rain", "Poems"}
        assert found("明月") == {"Poems"}
        assert found("0 %") == found("a_b") == {"100 % and a_b"}
        assert found("\\m") == {"C:\\models"}
        assert found("%") == {"100 % and a_b"}
        history.delete(chats["Poems"].id)
        assert found("茶") == set()


NOTES, POEM = Attachment("notes.txt", "Tea is a drink.", "text", "n"), Attachment("", "床前明月光", "pasted", "p")


def test_attachments_belong_to_their_draft_then_to_their_message(path: Path) -> None:
    with closing(History(path)) as history:
        chat = Conversation("kept", "kept", draft="Sum this up", attachments=(NOTES, POEM))
        history.save_conversation(chat)
        history.save_conversation(replace(chat, attachments=(POEM, NOTES)))
    with closing(History(path)) as history:
        [chat] = history.conversations()
        assert chat.attachments == (POEM, NOTES)
        assert history.search("drink") == []
        history.save_sent(
            replace(chat, draft="", attachments=()), Message("kept", None, "user", "Sum up", "q", attachments=(NOTES,))
        )
        history.save_message(Message("kept", "q", "assistant", "Tea.", "a"))
    with closing(History(path)) as history:
        assert [chat.attachments for chat in history.conversations()] == [()]
        assert [message.attachments for message in history.messages("kept")] == [(NOTES,), ()]
        for words in ("drink", "notes.t"):
            assert [one.conversation for one in history.search(words)] == ["kept"]
        history.delete("kept")
        history.forget(["kept"])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM attachments").fetchall() == [(0,)]


def test_attachments_of_a_message_that_is_lost_go_to_the_draft(path: Path) -> None:
    with closing(History(path)) as history:
        history.save_conversation(Conversation("kept", title="kept"))
        history.save_message(Message("kept", None, "user", "Hello", "q", attachments=(NOTES,)))
        history.save_message(Message("kept", "q", "user", "And this", "r", attachments=(POEM,)))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM messages WHERE id = 'q'")
    with pytest.MonkeyPatch.context() as patch:
        checks = iter([_malformed, *[desktop_app.chat.history._check] * 2])
        patch.setattr(desktop_app.chat.history, "_check", lambda database: next(checks)(database))  # noqa: PLW0108
        History(path).close()
    with closing(History(path)) as history:
        assert [chat.attachments for chat in history.conversations()] == [(NOTES,)]
        assert [message.attachments for message in history.messages("kept")] == [(POEM,)]


def test_a_second_process_leaves_the_firsts_undo_and_reply_alone(path: Path) -> None:
    state = path.parent / "states" / "newest-chat.npz"
    state.parent.mkdir()
    with other_process(path) as first:
        state.write_bytes(b"of a chat that the first one is about to save")
        second = History(path)
        assert states(second) == {"q": "done", "a": "streaming"}
        second.save_conversation(Conversation("second", title="second"))
        second.close()
        assert state.exists()
        first.communicate("")
        assert first.returncode == 0
    with closing(History(path)) as history:
        assert titles(history) == {"kept", "deleted", "second"}
        assert [m.content for m in history.messages("kept")] == ["Hello", "Half a reply and the rest."]


def test_a_killed_process_owns_nothing(path: Path) -> None:
    with other_process(path) as first:
        assert own(path.parent) is None
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        with closing(History(path)) as history:
            assert states(history) == {"q": "done", "a": "interrupted"}
            assert titles(history) == {"kept"}
            history.restore("deleted")
            assert titles(history) == {"kept", "deleted"}


def test_deleted_chats_stay_in_the_trash_for_30_days(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with closing(History(path)) as history:
        for name, days in (("old", 31), ("newer", 29), ("newest", 0)):
            history.save_conversation(Conversation(name, title=name))
            history.save_message(Message(name, None, "user", f"of {name}", f"q-{name}"))
            monkeypatch.setattr(time, "time", lambda days=days: now - days * 86_400)
            history.delete(name)
            monkeypatch.undo()
    with closing(History(path)) as history:
        assert [one.conversation.id for one in history.trash()] == ["newest", "newer"]
        assert history.messages("old") == []
        history.restore("newer")
        assert titles(history) == {"newer"}
        assert [m.content for m in history.messages("newer")] == ["of newer"]
        history.forget(["newest", "newer"])
        assert (history.trash(), titles(history)) == ([], {"newer"})
    assert b"of newest" not in path.read_bytes()


def test_one_process_owns_a_folder_as_often_as_it_likes(tmp_path: Path) -> None:
    first, second = own(tmp_path), own(tmp_path)
    assert first is not None
    assert second is not None
    second.release()
    with other_process(tmp_path / "chats.sqlite3"):
        pass
    first.release()


def write_many(path: Path) -> None:
    history = History(path)
    history.save_conversation(Conversation("kept", title="kept"))
    for number in range(300):
        history.save_message(Message("kept", None, "user", f"Message {number} " + "x" * 200, str(number)))
    history.close()


def damage(path: Path) -> bytes:
    """Overwrite a page in the middle of the table of messages."""
    content = bytearray(path.read_bytes())
    page = len(content) // 2 // 4096 * 4096
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    return bytes(content)


def test_a_damaged_file_is_kept_and_what_can_be_read_is_saved(path: Path) -> None:
    write_many(path)
    damaged = damage(path)
    with closing(History(path)) as history:
        assert history.recovery is not None
        assert history.recovery.damaged.read_bytes() == damaged
        assert titles(history) == {"kept"}
        saved = history.messages("kept")
        assert len(saved) == history.recovery.messages > 200
        assert all(message.content.startswith(f"Message {message.id} x") for message in saved)
    with closing(History(path)) as history:
        assert history.recovery is None
        assert len(history.messages("kept")) == len(saved)


def test_a_disk_that_fills_up_while_a_damaged_file_is_saved_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(path)
    damaged = damage(path)

    def full(*_: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(desktop_app.chat.history, "_salvage", full)
        with pytest.raises(HistoryError, match="The disk is full"):
            History(path)
    assert path.read_bytes() == damaged
    with closing(History(path)) as history:
        assert history.recovery is not None
        assert history.recovery.messages > 200


def test_a_recovery_that_was_killed_just_before_its_end_is_finished(path: Path) -> None:
    write_many(path)
    path.replace(path.with_name(path.name + ".recovered"))
    path.with_name(path.name + "-wal").write_bytes(b"of the damaged file")
    with closing(History(path)) as history:
        assert len(history.messages("kept")) == 300


def test_a_file_that_another_process_uses_is_not_taken_from_it(path: Path) -> None:
    with other_process(path):
        before = path.read_bytes()
        with pytest.raises(HistoryError):
            _open_damaged(path)
        assert path.read_bytes() == before
        assert not list(path.parent.glob("*.damaged-*"))


def _open_damaged(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desktop_app.chat.history, "_check", _malformed)
        History(path)


def _malformed(_: sqlite3.Connection) -> None:
    raise sqlite3.DatabaseError("database disk image is malformed")


def write_as_the_first_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(desktop_app.chat.history.MIGRATIONS[0] + "PRAGMA user_version = 1;")
        database.execute("INSERT INTO conversations VALUES ('old', 'Old', 1.0, 2.0, NULL, 'half a thought', NULL)")
        for number in range(300):
            row = (str(number), "old", None, "user", "x" * 200, float(number), "done", "", "{}")
            database.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


@pytest.mark.parametrize("spoil", [lambda path: None, damage], ids=["whole", "damaged"])
def test_the_first_versions_chats_are_read(path: Path, spoil: Callable[[Path], object]) -> None:
    write_as_the_first_version(path)
    spoil(path)
    with closing(History(path)) as history:
        [old] = history.conversations()
        assert (old.title, old.draft, old.thinking, old.effort) == ("Old", "half a thought", None, "")
        assert len(history.messages("old")) > 200
        history.save_conversation(replace(old, thinking=False, effort="high", attachments=(NOTES,)))
        assert history.conversations()[0].attachments == (NOTES,)
        assert [(chat.thinking, chat.effort) for chat in history.conversations()] == [(False, "high")]


def test_programs_that_open_a_new_file_at_once_bring_it_to_this_version_together(tmp_path: Path) -> None:
    path = tmp_path / "chats.sqlite3"
    code = (
        f"from pathlib import Path; from desktop_app.chat.history import History; History(Path({str(path)!r})).close()"
    )
    programs = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [(program.wait(), program.stderr and program.stderr.read()) for program in programs] == [(0, "")] * 6
    with closing(History(path)) as history:
        assert history.conversations() == []


def test_a_search_tells_the_newest_message_and_what_stands_around_the_words() -> None:
    history = History(None)
    chat, gone = Conversation(title="Tea"), Conversation(title="Old tea")
    for conversation in (chat, gone):
        history.save_conversation(conversation)
    first = Message(chat.id, None, "user", "tea")
    second = Message(chat.id, first.id, "assistant", "x" * 500 + "\n\nmuch green\nTEA here" + "y" * 500)
    for message in (first, second, Message(gone.id, None, "user", "tea")):
        history.save_message(message)
    history.delete(gone.id)
    [found] = history.search("green\nTEA")
    assert (found.conversation, found.message) == (chat.id, second.id)
    assert "much green TEA here" in found.snippet
    assert len(found.snippet) <= 160
    [by_words] = history.search("tea")
    assert by_words.message == second.id
    history.close()


@pytest.mark.parametrize("words", ["fox", "fo", "狐", "É fox", "sé"])
def test_words_that_are_everywhere_give_each_chat_once_with_its_newest_message(words: str) -> None:
    history = History(None)
    chats = [Conversation(f"chat {number}", title=f"Chat {number}") for number in range(210)]
    for number, chat in enumerate(chats):
        texts = ("Sé fox 狐", "Vé É fox 狐 sé", "other")
        history.add(chat, [Message(chat.id, None, "user", text, f"{number} {text}") for text in texts])
    for chat in chats[-5:]:
        history.delete(chat.id)
    found = history.search(words)
    assert [one.conversation for one in found] == [chat.id for chat in chats[204:4:-1]]
    assert {one.message.partition(" ")[2] for one in found} == {"Vé É fox 狐 sé"}
    assert history.search("É foy") == []
    history.close()


def test_the_index_of_words_follows_every_change(path: Path) -> None:
    def found(history: History, words: str) -> list[str]:
        return [one.conversation for one in history.search(words)]

    with closing(History(path)) as history:
        for name in ("a", "b"):
            history.save_conversation(Conversation(name, title=name))
        history.save_message(Message("a", None, "user", '海边的清晨 "Quoted" OR 100%', "q"))
        history.save_message(Message("a", "q", "assistant", "The fox at the sea", "r", state="streaming"))
        assert found(history, "fox") == []
        history.save_message(Message("a", "q", "assistant", "The fox at the sea", "r", state="stopped"))
        for words in ("清晨", "海边的", "晨", "fox", "THE F", "ea", 'quoted"', "or", "0%", "a"):
            assert found(history, words) == ["a"], words
        for words in ("水獭", "foy", "sea fox", "zz"):
            assert found(history, words) == [], words
        history.save_message(Message("a", "q", "assistant", "The owl", "r"))
        assert found(history, "fox") == []
        assert found(history, "owl") == ["a"]
        history.save_message(Message("b", None, "user", "ÉTÉ and été", "s"))
        assert found(history, "ÉTÉ") == found(history, "été") == ["b"]
        history.delete("a")
        history.forget(["a"])
        assert found(history, "owl") == []
        assert history._database.execute("SELECT count(*) FROM message_runs WHERE term = 'owl'").fetchall() == [(0,)]
