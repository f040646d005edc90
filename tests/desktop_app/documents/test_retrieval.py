"""Retrieval with the embedding model that comes along: by words, by meaning, both together; and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.documents.embedder import Embedder
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.retrieval import Found, RetrievalSettings, Retriever, _joined
from desktop_app.documents.store import Store, StoredPassage
from desktop_app.library.embedding_model import bundled_embedding_model
from tests.support.commands import zhiyin

TEXTS = {
    "狗.md": "小狗每天要散步两次，还要定期打疫苗。",
    "茶.md": "绿茶要用八十度的水冲泡，时间不要超过三分钟。",
    "car.txt": "The automobile needs an oil change every ten thousand kilometres.",
    "bread.txt": "Let the dough rise for an hour before you bake the loaf in the oven.",
    "law.txt": "租客提前退租时，房东可以扣下一个月的押金。",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("home")
        patch.setenv("ZHIYIN_HOME", str(made))
        folder = made / "文件"
        folder.mkdir()
        for name, text in TEXTS.items():
            (folder / name).write_text(text, "utf-8")
        (folder / "again.txt").write_text(TEXTS["law.txt"], "utf-8")
        yield made


@pytest.fixture(scope="module")
def searched(home: Path) -> Iterator[tuple[Retriever, int]]:
    model = bundled_embedding_model()
    assert model is not None
    with Store(home / "documents.sqlite3") as store, Embedder(model) as embedder:
        store.add("库", [home / "文件"])
        collection = Indexer(store, embedder).update("库")
        assert (collection.passages, collection.waiting) == (6, 0)
        yield Retriever(store, embedder), collection.id


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("养宠物要注意什么", "狗.md"),
        ("How do I look after a puppy?", "狗.md"),
        ("vehicle maintenance", "car.txt"),
        ("怎么做面包", "bread.txt"),
        ("没到期就搬走会怎么样", "law.txt"),
    ],
)
def test_passages_are_found_without_a_shared_word(question: str, name: str, searched: tuple[Retriever, int]) -> None:
    retriever, collection = searched
    found = retriever.search([collection], question, RetrievalSettings(count=2))
    names = [Path(entry.passage.path).name for entry in found]
    assert name in names or (name == "law.txt" and "again.txt" in names)


def test_words_of_one_and_two_characters_and_no_passage_twice(searched: tuple[Retriever, int]) -> None:
    retriever, collection = searched
    for word in ("茶", "绿茶", "冲泡"):
        found = retriever.search([collection], word)
        assert Path(found[0].passage.path).name == "茶.md"
        assert found[0].lexical is not None
    texts = [entry.passage.text for entry in retriever.search([collection], "押金", RetrievalSettings(count=6))]
    assert len(texts) == len(set(texts)) == 5
    assert retriever.search([collection], "") == retriever.search([], "茶") == []


def test_the_command(home: Path, searched: tuple[Retriever, int]) -> None:
    listed = json.loads(zhiyin("docs", "list", "--json", ZHIYIN_HOME=str(home)).stdout)
    assert [(entry["name"], entry["files"], entry["without_vector"]) for entry in listed] == [("库", 6, 0)]
    found = json.loads(zhiyin("docs", "search", "库", "绿茶", "--json", ZHIYIN_HOME=str(home)).stdout)
    assert set(found[0]) == {"file", "page", "text", "score", "lexical", "vector"}
    assert found[0]["text"] == TEXTS["茶.md"]
    refused = zhiyin("docs", "search", "none", "x", ZHIYIN_HOME=str(home))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "'none'" in refused.stderr


def test_passages_that_follow_each_other_are_joined_whichever_is_found_first() -> None:
    def found(number: int, score: float) -> Found:
        return Found(
            StoredPassage(number, 1, "/a.txt", number, number, number, "", f"t{number}"), score, 1.0, None, number
        )

    joined = _joined([found(4, 0.9), found(9, 0.8), found(6, 0.7), found(5, 0.6), found(2, 0.5)])
    assert [(entry.passage.text, entry.score) for entry in joined] == [("t4\nt5\nt6", 0.9), ("t9", 0.8), ("t2", 0.5)]
    assert [(entry.passage.page, entry.passage.last_page) for entry in joined] == [(4, 6), (9, 9), (2, 2)]
