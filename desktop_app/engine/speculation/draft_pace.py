"""The draft length of a draft model, often 0: the one with the most tokens a second."""

from __future__ import annotations

COUNTS = (3, 7, 1)
"""Tokens that it may guess at once, in the order in which they are tried; as in `desktop_app.sequences.GUESS_COUNTS`."""
_TRIAL = 4
"""Steps of a number before it is judged."""
_NEWEST = 0.15
"""Weight of the newest step in an average."""
_MARGIN = 1.05
"""Times faster than without: so much they must bring."""
_FIRST_PAUSE, _LONGEST_PAUSE = 256, 8192
"""Steps without guesses after they did not pay; each pause is twice as long as the one before."""
_CHECK = 128
"""Steps with guesses after which one without is measured again: it costs more the longer a chat is."""


class DraftPace:
    """Cost and yield of steps with a draft model, over all replies of a load."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._plain = _Rate()
        self._drafted = {count: _Rate() for count in COUNTS}
        self._untried = list(COUNTS)
        self._pause, self._waited = _FIRST_PAUSE, 0
        self._since = 0
        """Steps with guesses since the last one without."""

    def note(self, count: int, tokens: int, seconds: float) -> None:
        """Take note of a step with so many guesses, the guessing included, that brought so many tokens."""
        rate = self._drafted[count] if count else self._plain
        rate.add(tokens, seconds)
        self._since = self._since + 1 if count else 0
        self._waited += not count
        if self._untried and count == self._untried[0] and rate.steps >= _TRIAL:
            self._untried.pop(0)
            if not self._untried and not self._best:
                self._pause, self._waited = min(2 * self._pause, _LONGEST_PAUSE), 0

    def worth(self, most: int) -> int:
        """Return how many tokens are to be guessed now, at most so many."""
        if self._plain.steps < _TRIAL:
            return 0
        if self._untried:
            return self._untried[0] if self._untried[0] <= most else 0
        best = self._best
        if not best:
            if self._waited >= self._pause:
                self._try_again()
            return 0
        return best if best <= most and self._since < _CHECK else 0

    @property
    def _best(self) -> int:
        """The number that pays most; 0: none does."""
        best = max(COUNTS, key=lambda count: self._drafted[count].value)
        return best if self._drafted[best].value > _MARGIN * self._plain.value else 0

    def _try_again(self) -> None:
        """Measure the number anew that was the nearest to paying."""
        nearest = max(COUNTS, key=lambda count: self._drafted[count].value)
        self._drafted[nearest] = _Rate()
        self._untried = [nearest]


class _Rate:
    """Tokens a second, of the newest steps most."""

    def __init__(self) -> None:
        self.steps = 0
        self._tokens = self._seconds = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        self.steps += 1
        weight = max(_NEWEST, 1 / self.steps)
        self._tokens += weight * (tokens - self._tokens)
        self._seconds += weight * (seconds - self._seconds)

    @property
    def value(self) -> float:
        return self._tokens / self._seconds if self._seconds else 0.0
