"""Indexing that is killed at any moment, vectors included, fills the disk, or goes on while its files change."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from desktop_app.documents.document import Document
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.retrieval import RetrievalSettings, Retriever
from desktop_app.documents.store import NoCollection, Store, StoreError
from desktop_app.documents.watching import outdated
from tests.support.killed_indexing import NAME, indexed_until
from tests.support.search_models import write_embedding_model
from tests.support.stored_index import check_whole

WORDS = RetrievalSettings(vector=False, neighbours=False)
MEANING = RetrievalSettings(lexical=False, neighbours=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_embedding_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def embedder(model: Path) -> Iterator[Embedder]:
    with Embedder(model) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def write_notes(folder: Path, numbers: Sequence[int], sections: int = 12) -> None:
    """Write files whose passages are all different and hold the file's own word."""
    for number in numbers:
        parts = [f"## Part {n} of {number}\n\nword{number}x is {n} 第{number}号。\n\n" for n in range(sections)]
        (folder / f"note{number}.md").write_text(f"# Note {number}\n\n{''.join(parts)}", "utf-8")


def unchanged_files(path: Path) -> set[str]:
    """Return the files that are in the store as they are now."""
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT path, modified FROM files").fetchall()
    return {file for file, when in rows if Path(file).exists() and Path(file).stat().st_mtime_ns == when}


def embedded_texts(path: Path, files: set[str]) -> set[str]:
    """Return what was embedded for passages of these files, as the store has it."""
    if not files:
        return set()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT path, headings, text FROM passages JOIN vectors ON vectors.passage = passages.id "
            "JOIN files ON files.id = passages.file"
        ).fetchall()
    return {f"{headings}\n{text}" if headings else text for file, headings, text in rows if file in files}


def contents(store: Store) -> dict[tuple[str, int], tuple[str, np.ndarray]]:
    """Return each passage's place, text and vector."""
    rows = store._database.execute(
        "SELECT path, number, text, data FROM passages JOIN files ON files.id = passages.file "
        "JOIN vectors ON vectors.passage = passages.id"
    ).fetchall()
    return {(path, number): (text, np.frombuffer(data, "<f2")) for path, number, text, data in rows}


def check_complete(path: Path, folder: Path, embedder: Embedder, scratch: Path) -> None:
    """The store has what indexing without a kill makes: each passage once, with its vector, and it is found."""
    with Store(path) as store, Store(scratch / "again.sqlite3") as other:
        check_whole(store)
        other.add(NAME, [folder])
        Indexer(other, embedder).update(NAME)
        here, right = contents(store), contents(other)
        assert {place: text for place, (text, _) in here.items()} == {place: text for place, (text, _) in right.items()}
        assert store.collection(NAME).passages == len(here)
        for place, (_, vector) in here.items():
            assert np.abs(vector - right[place][1]).max() < 1e-3
        collection = store.collection(NAME).id
        for file in folder.iterdir():
            number = file.stem.removeprefix("note")
            by_words = Retriever(store, None).search([collection], f"word{number}x", WORDS)
            assert {Path(entry.passage.path).name for entry in by_words} == {file.name}
        for text in sorted(embedded_texts(path, unchanged_files(path)))[::20]:
            nearest = Retriever(store, embedder).search([collection], text, MEANING)
            assert nearest[0].vector is not None and nearest[0].vector > 0.999


def killed_at(moments: Sequence[dict[str, float]], path: Path, folder: Path, model: Path, scratch: Path) -> int:
    """Kill indexing at moments, and return how often it was not done before.

    Each kill leaves a whole store, and nothing that is in it is done again.
    """
    kills = 0
    for moment in moments:
        files = unchanged_files(path)
        texts = embedded_texts(path, files)
        run = indexed_until(path, folder, model, scratch / "log", **moment)  # type: ignore[arg-type]
        kills += run.killed
        with Store(path) as store:
            check_whole(store)
        assert not files & set(run.read), "read again"
        assert not texts & set(run.embedded), "embedded again"
        assert len(run.read) == len(set(run.read))
        assert len(run.embedded) == len(set(run.embedded))
    return kills


def test_two_kills_leave_a_whole_index_and_nothing_is_done_twice(
    folder: Path, model: Path, embedder: Embedder, tmp_path: Path
) -> None:
    write_notes(folder, range(5))
    path = tmp_path / "home/documents.sqlite3"
    moments: list[dict[str, float]] = [
        {"step": 60},  # while files are read
        {"step": -50},  # within the transaction of the second vectors
    ]
    assert killed_at(moments, path, folder, model, tmp_path) == 2
    assert embedded_texts(path, unchanged_files(path)), "the last kill came after a batch of vectors"
    assert outdated(path) == [NAME]
    with Store(path) as store:
        Indexer(store, embedder).update(NAME)
    check_complete(path, folder, embedder, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_while_files_change(folder: Path, model: Path, embedder: Embedder, tmp_path: Path) -> None:
    path, seed = tmp_path / "home/documents.sqlite3", int(os.environ.get("ZHIYIN_SEED", "8"))
    rng = random.Random(seed)
    write_notes(folder, range(40))
    kills = 0
    while kills < 20:
        moment: dict[str, float] = (
            {"seconds": rng.uniform(0, 1)} if rng.randrange(2) else {"step": rng.randrange(-99, 300)}
        )
        kills += killed_at([moment], path, folder, model, tmp_path)
        for changed in rng.sample(range(60), 6):
            if rng.randrange(3):
                write_notes(folder, [changed], sections=rng.randrange(1, 20))
            else:
                (folder / f"note{changed}.md").unlink(missing_ok=True)
    with Store(path) as store:
        Indexer(store, embedder).update(NAME)
    check_complete(path, folder, embedder, tmp_path)


def test_an_end_between_the_last_file_and_the_first_vector_is_noticed(
    folder: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notes(folder, [1])
    os.utime(folder / "note1.md", (0, 0))
    put = Store.put

    class Ended(Exception):
        """As a kill."""

    def put_and_end(*arguments: Any, **options: Any) -> None:
        put(*arguments, **options)
        raise Ended

    with Store(tmp_path / "documents.sqlite3") as store:
        store.add(NAME, [folder])
        with monkeypatch.context() as patch, pytest.raises(Ended):
            patch.setattr(Store, "put", put_and_end)
            Indexer(store, embedder).update(NAME)
        assert outdated(store.path) == [NAME]
        Indexer(store, embedder).update(NAME)
        assert outdated(store.path) == []


def test_a_disk_that_is_full_of_vectors_keeps_those_that_fit(folder: Path, embedder: Embedder, tmp_path: Path) -> None:
    write_notes(folder, range(10))
    path = tmp_path / "documents.sqlite3"
    with Store(path) as store:
        store.add(NAME, [folder])
        Indexer(store, None).update(NAME)
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="disk is full"):
            Indexer(store, embedder).update(NAME)
        check_whole(store)
        left = store.collection(NAME)
        assert 0 < left.waiting < left.passages
        had, made = embedded_texts(path, unchanged_files(path)), []
        store._database.execute("PRAGMA max_page_count = 1000000")
        Indexer(store, Noting(embedder, made)).update(NAME)
    assert not had & set(made)
    check_complete(path, folder, embedder, tmp_path)


class Noting(Embedder):
    """Notes what is embedded, by the process of another one."""

    def __init__(self, other: Embedder, texts: list[str]) -> None:
        super().__init__(other.model)
        self._other, self._texts = other, texts

    def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
        self._texts += texts
        return self._other.vectors(texts, role)


def test_files_that_change_or_go_while_vectors_are_made(folder: Path, embedder: Embedder, tmp_path: Path) -> None:
    write_notes(folder, range(6))
    path = tmp_path / "documents.sqlite3"
    made: list[str] = []

    class Changing(Noting):
        def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
            if not made:
                write_notes(folder, [2, 6], sections=5)
                (folder / "note3.md").unlink()
            return super().vectors(texts, role)

    with Store(path) as store:
        store.add(NAME, [folder])
        Indexer(store, Changing(embedder, made)).update(NAME)
        check_whole(store)
        made.clear()
        Indexer(store, Noting(embedder, made)).update(NAME)
    assert made and all(text.startswith(("Note 2", "Note 6")) for text in made)
    check_complete(path, folder, embedder, tmp_path)
    with Store(path) as store:
        shutil.rmtree(folder)
        assert Indexer(store, embedder).update(NAME).files == 0
        check_whole(store)
        assert contents(store) == {}


def test_vectors_never_go_to_what_another_program_made_meanwhile(
    folder: Path, embedder: Embedder, tmp_path: Path
) -> None:
    write_notes(folder, range(3))
    path = tmp_path / "documents.sqlite3"

    class Overtaken(Noting):
        """Another program indexes a changed file while vectors of its passages are computed."""

        def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
            if not self._texts:
                (folder / "note2.md").write_text("word2x has other words now.\n\n" * 200, "utf-8")
                with Store(path) as other:
                    Indexer(other, None).update(NAME)
            return super().vectors(texts, role)

    with Store(path) as store:
        store.add(NAME, [folder])
        Indexer(store, Overtaken(embedder, [])).update(NAME)
    check_complete(path, folder, embedder, tmp_path)


def test_a_collection_that_is_removed_while_it_is_indexed_leaves_nothing_in_a_new_one(
    folder: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notes(folder, range(3))
    path = tmp_path / "documents.sqlite3"
    extract = Extractor.extract

    def extract_and_replace(*arguments: Any) -> Document:
        with Store(path) as other:
            if other.collections()[0].name == NAME:
                other.remove(NAME)
                other.add("new", [])
        return extract(*arguments)

    monkeypatch.setattr(Extractor, "extract", extract_and_replace)
    with Store(path) as store:
        store.add(NAME, [folder])
        with pytest.raises(NoCollection):
            Indexer(store, embedder).update(NAME)
        check_whole(store)
        assert store.collection("new").files == 0
