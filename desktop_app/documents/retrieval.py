"""Finds the passages that answer a question: by words and by meaning, both rankings put together.

Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a passage's score is the sum of 1 / (60 + rank) over the rankings. The
ranking by words counts the less the fewer of the question's words a passage holds: one common word of ten says little.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from desktop_app.documents.embedder import Embedder
from desktop_app.documents.relevance import Measure, is_wide, measure
from desktop_app.documents.reranker import Reranker
from desktop_app.documents.store import Store, StoredPassage
from desktop_app.documents.words import index_terms, query_terms, stem

_RANK = 60
_RERANKED = 24
"""Passages that a reranking model reads: some seconds of a small one on a processor."""
_POOL = 50
"""Passages of each ranking that are put together."""
_NO_NUMBERS, _NO_VECTORS = np.empty(0, np.int64), np.empty((0, 0), np.float32)
_MANY = 20
"""Passages: of fewer the median tells nothing."""
_HELD = 0.04
"""The square of the part of a question's words, rare ones counting more, that such a passage holds."""


@dataclass(frozen=True)
class RetrievalSettings:
    """How passages are chosen."""

    count: int = 6
    lexical: bool = True
    vector: bool = True
    rerank: bool = True
    """A reranking model puts the best ones in order, where one was chosen."""
    neighbours: bool = True
    """Passages that follow each other are joined."""


@dataclass(frozen=True)
class Found:
    """A passage, or several that follow each other, with its scores."""

    passage: StoredPassage
    score: float
    """Of both rankings together."""
    lexical: float | None
    """BM25; None: it holds none of the words."""
    vector: float | None
    """The cosine; None: there are no vectors."""
    last: int = 0
    """The number of the last joined passage in its file."""
    relevant: bool = True
    """It has to do with the question at all."""
    rerank: float | None = None
    """From 0 to 1, of the reranking model; None: it did not read it."""

    def facts(self) -> dict[str, Any]:
        """Return what `zhiyin docs search --json` prints; `rerank` where a reranking model read the passage."""
        facts = {
            "file": self.passage.path,
            "page": self.passage.page or None,
            "text": self.passage.text,
            "score": self.score,
            "lexical": self.lexical,
            "vector": self.vector,
        }
        return facts if self.rerank is None else facts | {"rerank": self.rerank}


class Retriever:
    """Searches collections; vectors stay in memory until the store changes."""

    def __init__(self, store: Store, embedder: Embedder | None, reranker: Reranker | None = None) -> None:
        """Take the store.

        Args:
            store: of all collections.
            embedder: makes vectors of questions; None: words alone count.
            reranker: puts the best passages of both rankings in order; None: they stay as they are.
        """
        self._store = store
        self._embedder, self._reranker = embedder, reranker
        self._cached: tuple[Any, np.ndarray, np.ndarray] | None = None
        self._measure: Measure | None = None

    def search(
        self,
        collections: Sequence[int],
        question: str,
        settings: RetrievalSettings | None = None,
        without: Sequence[str] = (),
    ) -> list[Found]:
        """Return the passages for a question, the best ones first; the same text is never there twice.

        Args:
            collections: their numbers.
            question: what is asked.
            settings: how passages are chosen.
            without: texts whose parts are left out; one space stands for each gap in them.

        Raises:
            ZhiyinError: the store or the embedding model fails.
        """
        chosen = settings or RetrievalSettings()
        lexical = dict(self._store.lexical(collections, query_terms(question), _POOL)) if chosen.lexical else {}
        asked = self._asked(question) if chosen.vector else None
        vector, cosines, middle = self._by_meaning(collections, asked, lexical)
        weights = self._coverage(query_terms(question), list(lexical)) if vector else {}
        scores: dict[int, float] = {}
        for ranking, weight in ((lexical, weights), (vector, {})):
            ordered = sorted(ranking, key=lambda number: -ranking[number])[:_POOL]
            for rank, number in enumerate(ordered, 1):
                scores[number] = scores.get(number, 0.0) + weight.get(number, 1.0) / (_RANK + rank)
        best = sorted(scores, key=lambda number: -scores[number])
        stored = self._store.passages(best[: max(4 * chosen.count, _RERANKED)])
        least = self._least(asked, middle)
        results = []
        for number in filter(stored.__contains__, best):
            passage, cosine = stored[number], cosines.get(number)
            near = cosine is not None and cosine >= least[is_wide(passage.text)]
            held = number in lexical and weights.get(number, 1.0) >= _HELD
            results.append(
                Found(passage, scores[number], lexical.get(number), cosine, last=passage.number, relevant=near or held)
            )
        results = _new(results, without)
        if chosen.rerank and self._reranker is not None:
            results = _reranked(results, question, self._reranker)
        results = results[: chosen.count]
        return _joined(results) if chosen.neighbours else results

    def _coverage(self, terms: list[str], passages: Sequence[int]) -> dict[int, float]:
        """Return how much of a question the words that each passage holds make up, squared; rare words count more."""
        rarities = self._store.rarities(terms)
        total = sum(rarities.values()) or 1.0
        coverage = {}
        for number, passage in self._store.passages(passages).items():
            held = {stem(term) for term in index_terms(f"{passage.headings}\n{passage.text}").split()}
            coverage[number] = (sum(rarities[term] for term in terms if stem(term) in held) / total) ** 2
        return coverage

    def _asked(self, question: str) -> np.ndarray | None:
        """Return the question's vector; None: nothing can be compared."""
        if self._embedder is None or not question.strip():
            return None
        vector: np.ndarray = self._embedder.vectors([question], "query")[0]
        return vector

    def _least(self, asked: np.ndarray | None, middle: float) -> tuple[float, float]:
        """Return the cosines at which passages have to do with a question: in other languages, and in Chinese."""
        if asked is None or self._embedder is None:
            return 1.0, 1.0
        if self._measure is None:
            self._measure = measure(self._store, self._embedder)
        return self._measure.least(asked, middle)

    def _by_meaning(
        self, collections: Sequence[int], asked: np.ndarray | None, others: Collection[int]
    ) -> tuple[dict[int, float], dict[int, float], float]:
        """Return the nearest passages with their cosines, these together with those of other passages, and the median of all."""
        numbers, vectors = self._vectors(collections) if asked is not None else (_NO_NUMBERS, _NO_VECTORS)
        if asked is None or not len(numbers) or vectors.shape[1] != len(asked):
            return {}, {}, -1.0
        cosines = vectors @ asked
        count = min(_POOL, len(cosines))
        nearest = np.argpartition(-cosines, count - 1)[:count]
        by_number = {int(numbers[place]): float(cosines[place]) for place in nearest}
        places = np.flatnonzero(np.isin(numbers, list(others)))
        middle = float(np.median(cosines)) if len(cosines) >= _MANY else -1.0
        return by_number, by_number | {int(numbers[place]): float(cosines[place]) for place in places}, middle

    def _vectors(self, collections: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        key = (tuple(collections), self._store.state())
        if self._cached is None or self._cached[0] != key:
            name = "" if self._embedder is None else self._embedder.name
            self._cached = (key, *self._store.vectors(collections, name))
        return self._cached[1:]


def _reranked(results: Sequence[Found], question: str, reranker: Reranker) -> list[Found]:
    """Put the best passages in the order of a reranking model; those that it does not read follow."""
    read = list(results[:_RERANKED])
    if not read or not question.strip():
        return list(results)
    texts = [f"{one.passage.headings}\n{one.passage.text}".strip() for one in read]
    scores = reranker.scores(question, texts)
    read = [replace(one, rerank=score) for one, score in zip(read, scores, strict=True)]
    return [*sorted(read, key=lambda one: -(one.rerank or 0.0)), *results[_RERANKED:]]


def _joined(results: list[Found]) -> list[Found]:
    """Join passages that follow each other in a file, in the place of the best one of them."""
    places = {(entry.passage.file, entry.passage.number): place for place, entry in enumerate(results)}
    joined: list[tuple[int, Found]] = []
    for (file, number), place in sorted(places.items()):
        entry = results[place]
        before, first = joined[-1] if joined else (0, None)
        if first is not None and (first.passage.file, first.last + 1, first.relevant) == (file, number, entry.relevant):
            joined.pop()
            joined.append((min(before, place), _together(first, entry, first if before < place else entry)))
        else:
            joined.append((place, entry))
    return [entry for _, entry in sorted(joined, key=lambda pair: pair[0])]


def _together(first: Found, second: Found, better: Found) -> Found:
    passage = replace(
        first.passage,
        text=f"{first.passage.text}\n{second.passage.text}",
        last_page=second.passage.last_page,
    )
    return replace(better, passage=passage, last=second.last)


def _new(results: list[Found], without: Sequence[str]) -> list[Found]:
    """Return passages without repetitions, and without those that are parts of other texts."""
    seen: set[str] = set()
    kept = []
    for entry in results:
        text = " ".join(entry.passage.text.split())
        if text not in seen and not any(text in other for other in without):
            seen.add(text)
            kept.append(entry)
    return kept
