"""Other models for documents: a reranking model puts passages in order, another embedding model makes all vectors anew."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from desktop_app import reports
from desktop_app.documents.chosen_models import search_models
from desktop_app.documents.indexing import Indexer
from desktop_app.documents.retrieval import RetrievalSettings, Retriever
from desktop_app.documents.store import Store
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Rerank
from desktop_app.library.installed import Library
from desktop_app.paths import documents_file, models_folder
from desktop_app.settings import Settings
from models.errors import ZhiyinError
from tests.support.commands import zhiyin
from tests.support.search_models import write_search_models

NOTES = {
    "tea.txt": "Green tea wants water of eighty degrees.",
    "dog.txt": "The dog walks twice a day, whatever the weather.",
    "loaf.txt": "The loaf rises for an hour before it is baked.",
}
ALL = RetrievalSettings(count=3, neighbours=False)


@pytest.fixture
def home(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, where each test would have an empty one."""
    monkeypatch.setenv("ZHIYIN_HOME", str(prepared))
    return prepared


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a random embedding model, a random reranking model, and a collection indexed by the usual model."""
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("home")
        patch.setenv("ZHIYIN_HOME", str(made))
        models_folder().mkdir(parents=True, exist_ok=True)
        write_search_models(made)
        (made / "notes").mkdir()
        for name, text in NOTES.items():
            (made / "notes" / name).write_text(text, "utf-8")
        with Store(documents_file()) as store, ExitStack() as stack:
            store.add("notes", [made / "notes"])
            Indexer(store, search_models(stack, settings=Settings()).embedder).update("notes")
        yield made


def scores(question: str, texts: list[str]) -> list[float]:
    """Ask the reranking model alone."""
    with Engine() as engine:
        engine.submit(Load(models_folder() / "ranks.gguf", LoadSettings(context=1024, gpu_layers=0))).result()
        return engine.submit(Rerank(question, tuple(texts))).result().scores


def test_they_are_told_apart(home: Path) -> None:
    assert home
    kinds = {model.name: (model.measures, model.ranks) for model in Library(models_folder()).models()}
    assert (kinds["ranks"], kinds["measures"]) == ((True, True), (True, False))


def test_passages_stand_in_the_order_of_the_reranking_model_where_one_was_chosen(home: Path) -> None:
    assert home
    question = "dog weather"
    with Store(documents_file()) as store, ExitStack() as stack:
        number = store.collection("notes").id
        plain = search_models(stack, settings=Settings())
        assert plain.reranker is None
        before = Retriever(store, plain.embedder, plain.reranker).search([number], question, ALL)
        assert all(entry.rerank is None for entry in before)
        chosen = search_models(stack, settings=Settings(reranker="ranks.gguf"))
        retriever = Retriever(store, chosen.embedder, chosen.reranker)
        found = retriever.search([number], question, ALL)
        expected = dict(zip(NOTES.values(), scores(question, list(NOTES.values())), strict=True))
        assert [entry.passage.text for entry in found] == sorted(expected, key=lambda text: -expected[text])
        for entry in found:
            assert entry.rerank is not None and math.isclose(entry.rerank, expected[entry.passage.text], abs_tol=1e-4)
        assert {entry.passage.text: entry.relevant for entry in found} == {e.passage.text: e.relevant for e in before}
        off = retriever.search([number], question, RetrievalSettings(count=3, neighbours=False, rerank=False))
        assert [entry.passage.text for entry in off] == [entry.passage.text for entry in before]


def test_vectors_of_another_model_are_never_compared_and_are_made_anew(home: Path) -> None:
    assert home
    with Store(documents_file()) as store, ExitStack() as stack:
        collection = store.collection("notes")
        chosen = search_models(stack, settings=Settings(embedder="measures.gguf"))
        assert chosen.embedder is not None and collection.model != chosen.embedder.name
        retriever = Retriever(store, chosen.embedder)
        assert {entry.vector for entry in retriever.search([collection.id], "dog", ALL)} == {None}
        after = Indexer(store, chosen.embedder).update("notes")
        assert (after.model, after.waiting) == (chosen.embedder.name, 0)
        found = retriever.search([collection.id], "dog", ALL)
        assert len(found) == len(NOTES) and all(entry.vector is not None for entry in found)
        usual = search_models(stack, settings=Settings()).embedder
        Indexer(store, usual).update("notes")


def test_a_model_that_is_gone_is_said_and_the_usual_one_counts(home: Path) -> None:
    heard: list[ZhiyinError] = []
    with ExitStack() as stack:
        reports.listen(heard.append)
        stack.callback(reports.listen, None)
        models = search_models(stack, settings=Settings(embedder="gone.gguf", reranker="measures.gguf"))
        assert models.embedder is not None and "e5" in models.embedder.name
        assert models.reranker is None, "it makes vectors and ranks nothing"
    assert [str(error).partition(" ")[0] for error in heard] == ["gone.gguf", "measures.gguf"]


def test_the_command_chooses_and_shows_them(home: Path) -> None:
    def run(*arguments: str) -> object:
        done = zhiyin("docs", *arguments, "--json", ZHIYIN_HOME=str(home))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("models") == {"embedder": "multilingual-e5-small", "reranker": None}
    assert run("models", "--reranker", "ranks") == {"embedder": "multilingual-e5-small", "reranker": "ranks.gguf"}
    found: list[dict[str, object]] = run("search", "notes", "dog weather", "--count", "3")  # type: ignore[assignment]
    ranked = [entry["rerank"] for entry in found]
    assert None not in ranked and ranked == sorted(ranked, reverse=True)  # type: ignore[type-var]
    plain: list[dict[str, object]] = run("search", "notes", "dog", "--no-rerank")  # type: ignore[assignment]
    assert not any("rerank" in entry for entry in plain)
    assert run("models", "--reranker", "none") == {"embedder": "multilingual-e5-small", "reranker": None}
    for option, name, words in (
        ("--reranker", "measures", "ranks no passages"),
        ("--embedder", "ranks", "makes no vectors"),
        ("--embedder", "nothing", "no installed model named"),
    ):
        done = zhiyin("docs", "models", option, name, ZHIYIN_HOME=str(home))
        assert done.returncode == 1 and words in done.stderr
