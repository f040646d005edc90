"""How fast documents are indexed and searched.

uv run python -m tests.benchmarks.bench_documents search 100000      # milliseconds of a search over so many passages
uv run python -m tests.benchmarks.bench_documents index 1000         # seconds and megabytes for so many pages
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import docx
import numpy as np
from PySide6.QtCore import QAbstractEventDispatcher, QEventLoop

from desktop_app.documents.chunking import Passage
from desktop_app.documents.retrieval import Retriever
from desktop_app.documents.store import Store
from desktop_app.library.embedding_model import bundled_embedding_model
from tests.benchmarks.bench_retrieval import others, questions
from tests.support.documents import write_pdf
from tests.support.window import Person

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
        taken, spent = [], []
        for language in ("zh", "en"):
            for _, question, _ in questions(language):
                start, busy = time.perf_counter(), time.process_time()
                retriever.search([collection], question)
                taken.append(1000 * (time.perf_counter() - start))
                spent.append(1000 * (time.process_time() - busy))
    cut, cut_spent = (statistics.quantiles(times, n=20)[-1] for times in (taken, spent))
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{count} passages, {size / 1e6:.0f} MB: median {statistics.median(taken):.1f} ms, 95 % below {cut:.1f} ms, "
        f"of the processor's time {cut_spent:.1f} ms"
    )


class Turns:
    """Measures what the window's thread does at a time, without keeping it awake."""

    def __init__(self) -> None:
        self.work: list[float] = []
        self._begun = time.thread_time()
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher is not None
        dispatcher.awake.connect(self._begin)
        dispatcher.aboutToBlock.connect(self._end)

    def _begin(self) -> None:
        self._begun = time.thread_time()

    def _end(self) -> None:
        self.work.append(1000 * (time.thread_time() - self._begun))


def write_pages(pages: int, folder: Path) -> None:
    """Write a library: of ten pages four are English PDF, three Chinese Word files, and three Chinese Markdown."""
    rng = random.Random(1)
    texts = {
        language: [passage for passage, _, _ in questions(language)] + others(language) for language in ("zh", "en")
    }

    def page(language: str, characters: int) -> str:
        lines: list[str] = []
        while sum(map(len, lines)) < characters:
            lines.append(rng.choice(texts[language]))
        return "\n".join(lines)

    folder.mkdir()
    for number in range(pages // 10):
        english = [page("en", 2000).encode("latin-1", "replace").decode("latin-1") for _ in range(4)]
        write_pdf(folder / f"book{number}.pdf", english)
        document = docx.Document()
        for _ in range(3):
            document.add_heading(page("zh", 1)[:20], 1)
            for line in page("zh", 600).splitlines():
                document.add_paragraph(line)
        document.save(str(folder / f"report{number}.docx"))
        sections = [f"# {page('zh', 1)[:20]}\n\n" + page("zh", 600).replace("\n", "\n\n") for _ in range(3)]
        (folder / f"notes{number}.md").write_text("\n\n".join(sections), "utf-8")


def index(pages: int, folder: Path) -> None:
    """Index a library in the window, as a user does, and measure the window's thread meanwhile."""
    os.environ["ZHIYIN_HOME"] = str(folder / "home")
    write_pages(pages, folder / "files")
    assert bundled_embedding_model() is not None
    from desktop_app.ui import app

    window = app.create_window(app.make_application())
    window.show()
    person = Person(window)
    bridge = person.services.collections
    window._composer.collections_asked.emit()
    person.wait(lambda: not bridge.busy)
    moments: list[tuple[float, bool]] = []
    bridge.progressed.connect(lambda progress: moments.append((time.perf_counter(), bool(progress.reading))))
    turns, begun = Turns(), time.perf_counter()
    bridge.update("all", (folder / "files",))
    loop = QEventLoop()
    bridge.changed.connect(lambda: bridge.busy or loop.quit())
    loop.exec()
    taken = time.perf_counter() - begun
    reading = max(moment for moment, reads in moments if reads) - begun
    (state,) = bridge.collections
    size = sum(file.stat().st_size for file in (folder / "home").glob("documents*"))
    cut = statistics.quantiles(turns.work, n=100, method="inclusive")
    print(
        f"{pages} pages, {state.files} files, {state.passages} passages: {taken:.1f} s, {size / 1e6:.1f} MB; reading "
        f"{reading:.1f} s, vectors {taken - reading:.1f} s ({(taken - reading) / reading:.0f} times the reading)\n"
        f"the window's thread: {len(turns.work)} turns, 99 of 100 below {cut[-1]:.2f} ms, longest {max(turns.work):.1f} ms"
    )
    window.close()


if __name__ == "__main__":
    kind, number = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        {"search": search, "index": index}[kind](int(number), Path(name))
