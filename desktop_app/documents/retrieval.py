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
from desktop_app.documents.store import Store, StoredPassage
from desktop_app.documents.words import index_terms, query_terms, stem

_RANK = 60
_POOL = 50
"""Passages of each ranking that are put together."""
_NO_NUMBERS, _NO_VECTORS = np.empty(0, np.int64), np.empty((0, 0), np.float32)
RELEVANT = 0.82
"""The cosine below which multilingual-e5-small's vectors have nothing to do with each other; between any two it is above 0.7."""


@dataclass(frozen=True)
class RetrievalSettings:
    """How passages are chosen."""

    count: int = 6
    lexical: bool = True
    vector: bool = True
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

    @property
    def relevant(self) -> bool:
        """Whether it has to do with the question at all."""
        return self.lexical is not None or (self.vector or 0) >= RELEVANT

    def facts(self) -> dict[str, Any]:
        """Return what `zhiyin docs search --json` prints."""
        return {
            "file": self.passage.path,
            "page": self.passage.page or None,
            "text": self.passage.text,
            "score": self.score,
            "lexical": self.lexical,
            "vector": self.vector,
        }


class Retriever:
    """Searches collections; vectors stay in memory until the store changes."""

    def __init__(self, store: Store, embedder: Embedder | None) -> None:
        """Take the store, and what makes vectors of questions; None: words alone count."""
        self._store = store
        self._embedder = embedder
        self._cached: tuple[Any, np.ndarray, np.ndarray] | None = None

    def search(
        self, collections: Sequence[int], question: str, settings: RetrievalSettings | None = None
    ) -> list[Found]:
        """Return the passages for a question, the best ones first; the same text is never there twice.

        Raises:
            ZhiyinError: the store or the embedding model fails.
        """
        chosen = settings or RetrievalSettings()
        lexical = dict(self._store.lexical(collections, query_terms(question), _POOL)) if chosen.lexical else {}
        vector, cosines = self._by_meaning(collections, question, lexical) if chosen.vector else ({}, {})
        weights = self._coverage(query_terms(question), list(lexical)) if vector else {}
        scores: dict[int, float] = {}
        for ranking, weight in ((lexical, weights), (vector, {})):
            ordered = sorted(ranking, key=lambda number: -ranking[number])[:_POOL]
            for rank, number in enumerate(ordered, 1):
                scores[number] = scores.get(number, 0.0) + weight.get(number, 1.0) / (_RANK + rank)
        best = sorted(scores, key=lambda number: -scores[number])
        stored = self._store.passages(best[: 4 * chosen.count])
        found = [
            Found(stored[number], scores[number], lexical.get(number), cosines.get(number), stored[number].number)
            for number in best
            if number in stored
        ]
        found = _without_repetitions(found)[: chosen.count]
        return self._joined(found) if chosen.neighbours else found

    def _coverage(self, terms: list[str], passages: Sequence[int]) -> dict[int, float]:
        """Return how much of a question the words that each passage holds make up, squared; rare words count more."""
        rarities = self._store.rarities(terms)
        total = sum(rarities.values()) or 1.0
        found = {}
        for number, passage in self._store.passages(passages).items():
            held = {stem(term) for term in index_terms(f"{passage.headings}\n{passage.text}").split()}
            found[number] = (sum(rarities[term] for term in terms if stem(term) in held) / total) ** 2
        return found

    def _by_meaning(
        self, collections: Sequence[int], question: str, others: Collection[int]
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Return the nearest passages with their cosines, and these together with those of other passages."""
        numbers, vectors = self._vectors(collections) if self._embedder is not None else (_NO_NUMBERS, _NO_VECTORS)
        if self._embedder is None or not len(numbers) or not question.strip():
            return {}, {}
        asked = self._embedder.vectors([question], "query")[0]
        if vectors.shape[1] != len(asked):
            return {}, {}
        cosines = vectors @ asked
        count = min(_POOL, len(cosines))
        nearest = np.argpartition(-cosines, count - 1)[:count]
        found = {int(numbers[place]): float(cosines[place]) for place in nearest}
        places = np.flatnonzero(np.isin(numbers, list(others)))
        return found, found | {int(numbers[place]): float(cosines[place]) for place in places}

    def _vectors(self, collections: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        key = (tuple(collections), self._store.state())
        if self._cached is None or self._cached[0] != key:
            self._cached = (key, *self._store.vectors(collections))
        return self._cached[1:]

    def _joined(self, found: list[Found]) -> list[Found]:
        """Join passages that follow each other in a file, in the place of the better one."""
        joined: list[Found] = []
        for entry in found:
            for place, other in enumerate(joined):
                if other.passage.file != entry.passage.file:
                    continue
                if entry.passage.number == other.last + 1:
                    joined[place] = _together(other, entry, other)
                    break
                if entry.last == other.passage.number - 1:
                    joined[place] = _together(entry, other, other)
                    break
            else:
                joined.append(entry)
        return joined


def _together(first: Found, second: Found, better: Found) -> Found:
    passage = replace(
        first.passage,
        text=f"{first.passage.text}\n{second.passage.text}",
        last_page=second.passage.last_page,
    )
    return replace(better, passage=passage, last=second.last)


def _without_repetitions(found: list[Found]) -> list[Found]:
    seen: set[str] = set()
    kept = []
    for entry in found:
        text = " ".join(entry.passage.text.split())
        if text not in seen:
            seen.add(text)
            kept.append(entry)
    return kept
