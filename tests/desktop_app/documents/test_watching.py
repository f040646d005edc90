"""Collections whose files changed, or whose indexing was cut off, are found without being told."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from desktop_app.documents.indexing import Indexer
from desktop_app.documents.store import Store
from desktop_app.documents.watching import outdated


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home/documents.sqlite3") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    write(made / "a.txt", "first")
    write(made / "b.txt", "second")
    return made


def write(path: Path, text: str, age: float = 60) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (time.time() - age,) * 2)


def test_new_changed_and_removed_files_are_noticed(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    store.add("other", [folder / "b.txt"])
    assert outdated(store.path) == ["notes", "other"]
    for name in ("notes", "other"):
        Indexer(store, None).update(name)
    assert outdated(store.path) == []
    write(folder / "a.txt", "changed")
    assert outdated(store.path) == ["notes"]
    assert outdated(store.path, {"notes"}) == []
    Indexer(store, None).update("notes")
    write(folder / "c.txt", "being written", age=0)
    assert outdated(store.path) == [], "it may still be written"
    write(folder / "c.txt", "written")
    assert outdated(store.path) == ["notes"]
    Indexer(store, None).update("notes")
    shutil.rmtree(folder)
    assert outdated(store.path) == ["notes"], "with its folder a single file may be on a disk that was taken away"


def test_vectors_that_were_cut_off_are_noticed(store: Store, folder: Path) -> None:
    store.add("notes", [folder])
    collection = Indexer(store, None).update("notes")
    assert outdated(store.path) == [], "by words alone it is whole"
    store.set_model(collection.id, "model")
    assert outdated(store.path) == ["notes"]
    waiting = [number for number, _, _ in store.without_vectors(collection.id, 10)]
    store.put_vectors(waiting, np.ones((len(waiting), 4), np.float32))
    assert outdated(store.path) == []


def test_no_store_is_no_collection(tmp_path: Path) -> None:
    assert outdated(tmp_path / "none.sqlite3") == []
    (tmp_path / "damaged.sqlite3").write_bytes(b"no database" * 100)
    assert outdated(tmp_path / "damaged.sqlite3") == []
