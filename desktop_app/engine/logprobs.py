"""Log probabilities of a reply's tokens."""

from __future__ import annotations

import numpy as np

from desktop_app.engine.results import TokenLogprob
from desktop_app.engine.runner import RunningSequence


class Logprobs:
    """Notes each token that is chosen, until a piece of text takes the notes along."""

    def __init__(self, runner: RunningSequence, alternatives: int) -> None:
        """Note besides each token the `alternatives` most probable ones in its place."""
        self._runner = runner
        self._alternatives = alternatives
        self._noted: list[TokenLogprob] = []

    def note(self, token: int, logits: np.ndarray) -> None:
        """Note a token that was chosen from logits."""
        largest = float(logits.max())
        total = largest + float(np.log(np.exp(logits - largest).sum(dtype=np.float64)))
        top = tuple(self._entry(int(other), logits, total) for other in _best(logits, self._alternatives))
        self._noted.append(self._entry(token, logits, total, top))

    def take(self) -> tuple[TokenLogprob, ...]:
        """Return the notes since the last call."""
        noted, self._noted = tuple(self._noted), []
        return noted

    def _entry(self, token: int, logits: np.ndarray, total: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        piece = self._runner.vocabulary.piece(token)
        return TokenLogprob(piece.decode("utf-8", "replace"), tuple(piece), float(logits[token]) - total, top)


def _best(logits: np.ndarray, count: int) -> np.ndarray:
    """Return the ids of the `count` largest logits, the largest first."""
    if count <= 0:
        return np.empty(0, np.int64)
    some = np.argpartition(logits, -count)[-count:]
    return some[np.argsort(-logits[some], kind="stable")]
