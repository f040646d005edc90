"""Indexing with real files and a real SQLite file: changes, kills at any moment, a full disk, two programs."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from desktop_app.documents.chunking import Passage
from desktop_app.documents.document import Document
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.retrieval import RetrievalSettings, Retriever
from desktop_app.documents.store import MIGRATIONS, NoCollection, Store, StoreError
from models.errors import ZhiyinError
from tests.support.documents import write_pdf, write_word
from tests.support.stored_index import check_whole

WORDS = RetrievalSettings(vector=False, neighbours=False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home/documents.sqlite3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for number in range(8):
        (made / f"note{number}.md").write_text(
            f"# Note {number}\n\n" + f"word{number}x 第{number}号文件。\n\n" * 40, "utf-8"
        )
    return made


def files_with(store: Store, word: str) -> list[str]:
    numbers = [collection.id for collection in store.collections()]
    return sorted({Path(f.passage.path).name for f in Retriever(store, None).search(numbers, word, WORDS)})


def test_changes_are_found_and_nothing_is_read_twice(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    seen: list[str] = []
    indexer = Indexer(store, None, on_progress=lambda progress: seen.append(progress.path))
    first = indexer.update("notes")
    assert (first.files, first.failed, len(set(seen))) == (8, 0, 8)
    assert files_with(store, "word3x") == ["note3.md"]
    seen.clear()
    assert indexer.update("notes").passages == first.passages
    assert seen == []
    (folder / "note3.md").write_text("now about pears", "utf-8")
    (folder / "note4.md").unlink()
    (folder / "deep").mkdir()
    write_pdf(folder / "deep/new.pdf", ["apples here", "and bananas there"])
    write_pdf(folder / "deep/scan.pdf", ["", ""])
    (folder / "broken.docx").write_bytes(b"PK\x03\x04nothing")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    after = indexer.update("notes")
    assert (after.files, after.failed) == (10, 2)
    assert files_with(store, "pears") == ["note3.md"]
    assert files_with(store, "word3x") == files_with(store, "word4x") == []
    found = Retriever(store, None).search([after.id], "bananas", WORDS)
    assert [(f.passage.page, f.passage.last_page) for f in found] in ([(2, 2)], [(1, 2)])
    errors = {Path(file.path).name: file.error for file in store.files("notes") if file.error}
    assert errors["scan.pdf"].code == "scanned"
    assert set(errors) == {"scan.pdf", "broken.docx"}
    check_whole(store)


def test_a_removed_collection_leaves_nothing(store: Store, folder: Path) -> None:
    hidden = "geheimwort"
    (folder / "secret.txt").write_text(hidden, "utf-8")
    store.add("notes", [folder])
    store.add("other", [folder / "note1.md"])
    Indexer(store, None).update("notes")
    Indexer(store, None).update("other")
    store.remove("notes")
    check_whole(store)
    assert files_with(store, "word1x") == ["note1.md"]
    store.close()
    assert hidden.encode() not in b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    with pytest.raises(NoCollection, match="notes"):
        Store(store.path).collection("notes")


@pytest.mark.parametrize("name", ["", "  ", "a,b", "two\nlines", "\0"])
def test_a_collection_has_a_name_by_which_it_can_be_asked(name: str, store: Store) -> None:
    with pytest.raises(StoreError, match="needs a name"):
        store.add(name, [])
    assert store.collections() == []


def test_what_was_never_added_cannot_be_taken_out(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    with pytest.raises(StoreError, match="was not added to the collection"):
        store.remove_source("notes", str(folder / "note1.md"))
    store.remove_source("notes", str(folder))
    assert Indexer(store, None).update("notes").sources == ()


def test_a_folder_that_vanished_is_forgotten_and_an_unplugged_disk_is_not(
    store: Store, tmp_path: Path, folder: Path
) -> None:
    disk = tmp_path / "mount/disk"
    disk.mkdir(parents=True)
    write_word(disk / "a.docx")
    store.add("notes", [folder, disk])
    indexer = Indexer(store, None)
    assert indexer.update("notes").files == 9
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "mount")
    assert indexer.update("notes").files == 1
    assert [Path(file.path).name for file in store.files("notes")] == ["a.docx"]
    check_whole(store)


@pytest.mark.slow
def test_kills_at_any_moment_leave_a_whole_index(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = (
        "import sys; from pathlib import Path; from desktop_app.documents.store import Store;"
        "from desktop_app.documents.indexing import Indexer;"
        "s = Store(Path(sys.argv[1])); s.add('notes', [Path(sys.argv[2])]); print('begun', flush=True);"
        "Indexer(s, None).update('notes')"
    )
    path = home / "documents.sqlite3"
    rng = random.Random(int(os.environ.get("ZHIYIN_SEED", "6")))
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", code, path, folder], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.6))
        process.kill()
        process.wait()
        process.stdout.close()
    with Store(path) as store:
        check_whole(store)
        collection = Indexer(store, None).update("notes")
        assert collection.files == 8
        check_whole(store)
        assert all(files_with(store, f"word{number}x") == [f"note{number}.md"] for number in range(8))


def test_a_file_that_changes_while_it_is_read_is_read_again(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add("notes", [folder])
    extract, changed = Extractor.extract, iter([True])

    def extract_and_change(extractor: Extractor, path: Path, stopped: Callable[[], bool] | None = None) -> Document:
        document = extract(extractor, path, stopped)
        if path.name == "note2.md" and next(changed, False):
            path.write_text("pears were added meanwhile", "utf-8")
        return document

    monkeypatch.setattr(Extractor, "extract", extract_and_change)
    assert Indexer(store, None).update("notes").files == 8
    assert files_with(store, "pears") == ["note2.md"]
    assert files_with(store, "word2x") == []
    check_whole(store)


def test_a_full_disk_is_said_and_loses_nothing(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    Indexer(store, None).update("notes")
    before = store.collection("notes").passages
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    (folder / "large.txt").write_text("文字很多。" * 40_000, "utf-8")
    with pytest.raises(StoreError, match="disk is full"):
        Indexer(store, None).update("notes")
    assert store.collection("notes").passages == before
    store._database.execute("PRAGMA max_page_count = 1000000")
    assert Indexer(store, None).update("notes").files == 9
    check_whole(store)


def test_what_was_left_out_of_a_long_file_is_said_and_the_rest_is_there(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = Extractor.extract

    def cut(*arguments: Any) -> Document:
        return replace(extract(*arguments), cut=True)

    monkeypatch.setattr(Extractor, "extract", cut)
    store.add("notes", [folder / "note3.md"])
    heard: list[ZhiyinError | None] = []
    collection = Indexer(store, None, on_progress=lambda progress: heard.append(progress.error)).update("notes")
    assert (collection.files, collection.failed) == (1, 0)
    assert files_with(store, "word3x") == ["note3.md"]
    (file,) = store.files("notes")
    assert file.error is not None and "left out" in str(file.error)
    assert str(heard[-1]) == str(file.error)


def test_a_damaged_or_newer_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite3"
    path.write_bytes(b"no database at all" * 200)
    with pytest.raises(StoreError, match="damaged"):
        Store(path)
    path.unlink()
    Store(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="newer"):
        Store(path)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_file_of_an_earlier_version_is_taken_over(version: int, tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite3"
    database = sqlite3.connect(path)
    for script in MIGRATIONS[:version]:
        database.executescript(script)
    database.execute(f"PRAGMA user_version = {version}")
    database.executescript(
        "INSERT INTO collections (name) VALUES ('old');"
        "INSERT INTO files (collection, path, bytes, modified) VALUES (1, '/a.txt', 5, 0);"
        "INSERT INTO passages (file, number, page, last_page, headings, text) VALUES (1, 0, 0, 0, '', 'pears');"
        "INSERT INTO words (rowid, terms) VALUES (1, 'pears'); INSERT INTO vectors VALUES (1, x'0000');"
    )
    database.close()
    with Store(path) as store:
        check_whole(store)
        (old,) = store.collections()
        assert (old.name, old.files, old.passages, old.waiting) == ("old", 1, 1, 0)
        assert files_with(store, "pears") == ["a.txt"]
        store.attach("chat", "key", "b.txt", [Passage("words", 0, 0)])
        store.remove("old")
        check_whole(store)
        assert store._database.execute("SELECT id, text FROM passages").fetchall() == [(2, "words")]
        store.forget_chats(())
        assert store.add("new", []).id > 2, "no number is given twice"


def test_attachments_are_on_no_list_and_go_with_their_chat(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    for chat in ("one", "two"):
        store.attach(chat, f"key {chat}", "book.pdf", [Passage(f"secret of {chat}", 1, 1)])
    assert [collection.name for collection in store.collections()] == ["notes"]
    assert store.attached("one", "key two") is None
    store.forget_chats({"two"})
    assert store.attached("one", "key one") is None
    kept = store.attached("two", "key two")
    assert kept is not None and kept.passages == 1
    check_whole(store)


def test_two_programs_index_at_once(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite3"
    with Store(path) as one, Store(path) as other:
        one.add("notes", [folder])
        other.add("notes", [folder])
        Indexer(one, None).update("notes")
        Indexer(other, None).update("notes")
        assert other.collection("notes").files == 8
        check_whole(one)
