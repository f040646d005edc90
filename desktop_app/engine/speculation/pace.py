"""The draft length of prompt lookup: cost and acceptance of guesses, both measured while replies are written.

Whether a guess would have been right is known without computing it, so that acceptance is learned for nothing. What verifying
costs is known only where it was done: what was not measured for long is taken to be cheaper and cheaper until it is tried again.
"""

from __future__ import annotations

from bisect import bisect_right

from desktop_app.sequences import GUESS_COUNTS, MOST_GUESSES

_MATCHES = (1, 4, 6, 9, 16, 32)
"""Lengths of a match from which on guesses are counted together."""
_FIRST_COST = 0.3
"""Of a guess, in steps of one token, before anything was measured."""
_LEAST_COST = 0.01
_LIKELY = 4.0
"""Tokens that a step would bring: so many are worth another try."""
_CHEAPER = 0.999
"""What the costs that forbid such a step are multiplied by each time."""
_NEWEST = 0.15
"""Weight of the newest measurement in an average."""
_OUTLIER = 2.0
"""Times the average: longer steps were interrupted by other programs and count as so long."""
_FEWEST_STEPS = 4
"""Measured before the first guess, and before a step may count as interrupted."""
_FEWEST_TRIES = 2
"""Measurements of guesses before they are given up for their cost."""
_MARGIN = 1.1
"""Times faster than without: so much guesses must promise."""
_ASSUMED = 2.0
"""Weight of what is assumed of acceptance beforehand, in guesses."""
_MEMORY = 0.99
"""Weight of what was learned of acceptance before the newest guess."""


class Pace:
    """Cost of a loaded model's steps, and acceptance of guesses."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._step = _Average()
        """Seconds of a step without guesses."""
        self._costs = {count: _Average() for count in GUESS_COUNTS}
        """Of each guess, in steps without any."""
        self._doubts = dict.fromkeys(GUESS_COUNTS, 1.0)
        """What the costs are multiplied by the longer they were not measured."""
        self._right = [0.0] * len(_MATCHES)
        self._seen = [0.0] * len(_MATCHES)

    def note_guess(self, match: int, right: bool) -> None:
        """Take note of whether a guess behind a match of so many tokens was right."""
        kind = _kind(match)
        self._right[kind] = self._right[kind] * _MEMORY + right
        self._seen[kind] = self._seen[kind] * _MEMORY + 1

    def note_step(self, guesses: int, seconds: float) -> None:
        """Take note of what a step with so many guesses took, from one to the next."""
        if not guesses:
            self._step.add(seconds)
        elif self._step.value:
            self._doubts[guesses] = 1.0
            self._costs[guesses].add(max(_LEAST_COST, (seconds / self._step.value - 1) / guesses))

    def worth(self, match: int, most: int) -> int:
        """Return how many guesses, of `GUESS_COUNTS` or none, behind a match of so many tokens are worth their cost."""
        if self._step.count < _FEWEST_STEPS:
            return 0
        best, chosen = _MARGIN, 0
        expected = reached = 1.0
        for count in range(1, min(most, MOST_GUESSES) + 1):
            reached *= self._probability(match + count - 1)
            expected += reached
            if count in self._costs and (gain := expected / (1 + count * self._cost(count))) > best:
                best, chosen = gain, count
        if not chosen:
            self._doubt(expected)
        return chosen

    def _cost(self, count: int) -> float:
        """Return what each of so many guesses costs: what was not measured as much as fewer; few measurements forbid nothing."""
        cost, fewer = self._costs[count], _FIRST_COST
        for smaller in GUESS_COUNTS[: GUESS_COUNTS.index(count)]:
            if self._costs[smaller].count:
                fewer = min(fewer, self._costs[smaller].value)
        if not cost.count:
            return fewer
        return cost.value * self._doubts[count] if cost.count >= _FEWEST_TRIES else min(cost.value, fewer)

    def _doubt(self, expected: float) -> None:
        """Where guesses would be right, but cost too much: believe that a little less."""
        if expected > _LIKELY:
            for count in GUESS_COUNTS:
                self._doubts[count] *= _CHEAPER

    def _probability(self, match: int) -> float:
        """Return how probably a guess is right: what was not seen often is as probable as behind shorter matches."""
        probability = 0.5
        for kind in range(_kind(match) + 1):
            probability = (self._right[kind] + _ASSUMED * probability) / (self._seen[kind] + _ASSUMED)
        return probability


def _kind(match: int) -> int:
    return max(0, bisect_right(_MATCHES, match) - 1)


class _Average:
    """Of measurements, the newest ones most."""

    def __init__(self) -> None:
        self.value = 0.0
        self.count = 0

    def add(self, newest: float) -> None:
        if self.count >= _FEWEST_STEPS:
            newest = min(newest, _OUTLIER * self.value)
        self.count += 1
        self.value += max(_NEWEST, 1 / self.count) * (newest - self.value)
