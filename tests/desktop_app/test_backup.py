"""Backup and restore: everything comes back, nothing is lost, and no archive can write elsewhere or be half applied."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from desktop_app.backup import NoBackup, finish_restore, make_backup, prepare_restore
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.settings import Settings, load_settings, save_settings
from models.errors import Cancelled, ZhiyinError


def never() -> bool:
    return False


def nothing(_: object) -> None:
    pass


def fill(folder: Path, title: str, token: str) -> None:
    folder.mkdir(exist_ok=True)
    save_settings(Settings(theme="dark", system_prompt=title, tokens={"https://hub": token}), folder / "settings.json")
    with closing(History(folder / "chats.sqlite3")) as history:
        history.save_conversation(Conversation("c", title))
        history.save_message(Message("c", None, "user", f"About {title}", "q"))
    with closing(sqlite3.connect(folder / "documents.sqlite3")) as database, database:
        database.execute("CREATE TABLE passages (text)")
        database.execute("INSERT INTO passages VALUES (?)", (title,))
    (folder / "work" / "c").mkdir(parents=True, exist_ok=True)
    (folder / "work" / "c" / "plot.txt").write_text(title)


def titles(folder: Path) -> list[str]:
    with closing(History(folder / "chats.sqlite3")) as history:
        return [chat.title for chat in history.conversations()]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    fill(tmp_path / "old", "Old", "secret-of-old")
    with closing(History(tmp_path / "old" / "chats.sqlite3")) as in_use:
        in_use.save_conversation(Conversation("d", "Newest"))  # only in the write-ahead log
        make_backup(nothing, never, tmp_path / "old", tmp_path / "all.zip")
    return tmp_path / "all.zip"


def test_everything_comes_back_and_what_was_there_is_put_aside(tmp_path: Path, backup: Path) -> None:
    new = tmp_path / "new"
    fill(new, "New", "secret-of-new")
    told: list[float] = []
    prepare_restore(told.append, never, backup, new)
    assert told[-1] == 1.0
    assert titles(new) == ["New"]
    aside = finish_restore(new)
    assert aside is not None
    assert sorted(titles(new)) == ["Newest", "Old"]
    settings = load_settings(new / "settings.json")
    assert (settings.theme, settings.system_prompt, settings.tokens) == (
        "dark",
        "Old",
        {"https://hub": "secret-of-new"},
    )
    with closing(sqlite3.connect(new / "documents.sqlite3")) as database:
        assert database.execute("SELECT text FROM passages").fetchall() == [("Old",)]
    assert (new / "work" / "c" / "plot.txt").read_text() == "Old"
    assert titles(aside) == ["New"]
    assert (aside / "work" / "c" / "plot.txt").read_text() == "New"
    assert finish_restore(new) is None


def test_no_token_is_in_a_backup(backup: Path) -> None:
    with zipfile.ZipFile(backup) as archive:
        assert not any(b"secret-of" in archive.read(name) for name in archive.namelist())


def test_a_kill_while_files_take_their_places_is_no_harm(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = 0
    for killed_at in range(12):
        new = tmp_path / f"new {killed_at}"
        fill(new, "New", "")
        prepare_restore(nothing, never, backup, new)
        moves = iter(range(killed_at))

        def replace(source: Path, target: Path, moves: Iterator[int] = moves) -> None:
            if next(moves, None) is None:
                raise KeyboardInterrupt
            source.rename(target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            try:
                finish_restore(new)
            except KeyboardInterrupt:
                killed += 1
        finish_restore(new)
        assert sorted(titles(new)) == ["Newest", "Old"]
        [aside] = new.glob("replaced-*")
        assert titles(aside) == ["New"]
    assert 5 < killed < 12


def test_a_stopped_backup_leaves_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "old", "Old", "")
    with pytest.raises(Cancelled):
        make_backup(nothing, lambda: True, tmp_path / "old", tmp_path / "all.zip")
    assert not list(tmp_path.glob("*all.zip*"))
    with pytest.raises(ZhiyinError, match="cannot be written"):
        make_backup(nothing, never, tmp_path / "old", tmp_path / "none" / "all.zip")


@pytest.mark.parametrize("name", ["../evil", "/evil", "work/../../evil", "models/x.gguf", "C:\\evil", "work/c/..\\x"])
def test_an_archive_with_other_files_is_refused(tmp_path: Path, backup: Path, name: str) -> None:
    with zipfile.ZipFile(backup, "a") as archive:
        archive.writestr(name, "x")
    refuse(tmp_path, backup)


def test_what_is_no_whole_backup_is_refused(tmp_path: Path, backup: Path) -> None:
    whole = backup.read_bytes()
    for data in (b"", b"PK", whole[: len(whole) // 2], b"x" * 1000):
        backup.write_bytes(data)
        refuse(tmp_path, backup)
    damaged = bytearray(whole)
    damaged[200:400] = b"\xff" * 200
    backup.write_bytes(damaged)
    refuse(tmp_path, backup)
    with zipfile.ZipFile(backup, "w") as archive:
        archive.writestr("zhiyin-backup.json", json.dumps({"version": 99}))
        archive.writestr("settings.json", "{}")
    refuse(tmp_path, backup)
    with zipfile.ZipFile(backup, "w") as archive:
        archive.writestr("zhiyin-backup.json", json.dumps({"version": 1}))
        archive.writestr("chats.sqlite3", b"not a database" * 100)
    refuse(tmp_path, backup)


def refuse(tmp_path: Path, backup: Path) -> None:
    new = tmp_path / "new"
    if not new.exists():
        fill(new, "New", "")
    with pytest.raises(NoBackup):
        prepare_restore(nothing, never, backup, new)
    assert finish_restore(new) is None
    assert titles(new) == ["New"]
    assert not (tmp_path / "evil").exists()
