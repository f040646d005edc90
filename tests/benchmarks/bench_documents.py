"""How fast documents are indexed and searched.

uv run python -m tests.benchmarks.bench_documents search 100000      # milliseconds of a search over so many passages
uv run python -m tests.benchmarks.bench_documents index 1000         # seconds and megabytes for so many pages of PDF
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from desktop_app.documents.chunking import Passage, passages
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.retrieval import Retriever
from desktop_app.documents.store import Store
from desktop_app.library.embedding_model import bundled_embedding_model
from tests.benchmarks.bench_retrieval import others, questions
from tests.support.documents import write_pdf

DIMENSIONS = 384


class _Random:
    """Stands for the embedding model, whose time is that of one short text whatever there is to search."""

    name = "random"

    def vectors(self, texts: list[str], role: str) -> np.ndarray:
        drawn = np.random.default_rng(len(texts[0])).standard_normal((len(texts), DIMENSIONS), np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def search(count: int, folder: Path) -> None:
    rng = random.Random(1)
    sentences = [passage for language in ("zh", "en") for passage, _, _ in questions(language)]
    sentences += others("zh") + others("en")
    embedder = _Random()
    with Store(folder / "documents.sqlite3") as store:
        collection = store.add("all", []).id
        for at in range(0, count, 1000):
            made = [Passage(" ".join(rng.sample(sentences, 6)), 0, 0) for _ in range(min(1000, count - at))]
            store.put(collection, f"{at}.txt", (0, 0), made)
            waiting = store.without_vectors(collection, 1000)
            store.put_vectors([n for n, _, _ in waiting], embedder.vectors([t for _, _, t in waiting], "document"))
        retriever = Retriever(store, embedder)  # type: ignore[arg-type]
        retriever.search([collection], "first")
        taken, busy = [], time.process_time()
        for language in ("zh", "en"):
            for _, question, _ in questions(language):
                start = time.perf_counter()
                retriever.search([collection], question)
                taken.append(1000 * (time.perf_counter() - start))
    spent = 1000 * (time.process_time() - busy) / len(taken)
    cut = statistics.quantiles(taken, n=20)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{count} passages, {size / 1e6:.0f} MB: median {statistics.median(taken):.1f} ms, 95 % below {cut[-1]:.1f} ms, "
        f"CPU {spent:.1f} ms"
    )


def index(pages: int, folder: Path) -> None:
    rng = random.Random(1)
    sentences = [passage for passage, _, _ in questions("en")] + others("en")
    text = ["\n".join(rng.sample(sentences, 30)).encode("latin-1", "replace").decode("latin-1") for _ in range(pages)]
    path = write_pdf(folder / "book.pdf", text)
    model = bundled_embedding_model()
    assert model is not None
    with Extractor() as extractor, Embedder(model) as embedder, Store(folder / "documents.sqlite3") as store:
        embedder.vectors(["begin"], "query")
        start = time.perf_counter()
        found = passages(extractor.extract(path))
        read = time.perf_counter()
        collection = store.add("all", []).id
        store.put(collection, str(path), (0, 0), found)
        stored = time.perf_counter()
        while waiting := store.without_vectors(collection, 32):
            store.put_vectors([n for n, _, _ in waiting], embedder.vectors([t for _, _, t in waiting], "document"))
        done = time.perf_counter()
    size = sum(file.stat().st_size for file in folder.glob("documents*"))
    print(
        f"{pages} pages, {len(found)} passages, {size / 1e6:.1f} MB: reading {read - start:.1f} s, "
        f"storing {stored - read:.1f} s, vectors {done - stored:.1f} s ({(done - stored) / (read - start):.0f} times the reading)"
    )


if __name__ == "__main__":
    kind, number = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        {"search": search, "index": index}[kind](int(number), Path(name))
