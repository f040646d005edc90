"""The prompt tokens of a scheduler step, chosen so that running replies hardly wait.

A step with a part of a prompt may take `_LONGEST` times as long as one without. What a part costs is no straight line (small
matrix products, attention over what was read), so the size follows what the last steps took instead of a formula.
"""

from __future__ import annotations

from collections.abc import Sequence

_FIRST_PART = 16
"""Tokens of each of several prompts that are read alone, while nothing was measured."""
_SMALLEST_PART = 4
"""Beside running replies; also the first one, before anything was measured."""
_LONGEST = 2.0
"""Times a step without prompts: what a step with a part of one is meant to take."""
_SHRINK, _GROW = 0.5, 1.25
"""Most changes from one step to the next: one slow step of a busy computer is no reason to read token by token."""
_STEP_SECONDS = 0.1
"""Of a step in which several prompts alone are read: a stop is heard between steps."""
_NEWEST = 0.2
"""Weight of the newest measurement in an average."""


class PromptBudget:
    """Learns from each step how large a part of a prompt the next one has time for."""

    def __init__(self, batch: int) -> None:
        """`batch`: tokens that one step takes at most."""
        self._batch = batch
        self._step_seconds: dict[int, float] = {}
        """By the number of replies: what a step without prompts takes."""
        self._token_seconds = 0.0
        """A token of a prompt in a step without replies."""
        self._part = float(_SMALLEST_PART)

    def prompt_tokens(self, replies: int, prompts: int) -> int:
        """Return how many tokens of prompts go beside so many replies."""
        most = self._batch - replies
        if replies:
            return max(1, min(most, int(self._part)))
        if prompts < 2 or not self._token_seconds:
            return most
        return max(_FIRST_PART, min(most, int(_STEP_SECONDS / self._token_seconds)))

    def note(self, counts: Sequence[int], seconds: float) -> None:
        """Take note of a step: the tokens of each sequence in it, and what it took."""
        replies, read = sum(count == 1 for count in counts), sum(count for count in counts if count > 1)
        if not read:
            self._step_seconds[replies] = _mean(self._step_seconds.get(replies, 0.0), seconds)
        elif not replies:
            self._token_seconds = _mean(self._token_seconds, seconds / read)
        elif (step := self._step(replies)) and read <= self._part:  # a short prompt is read whole, whatever fits
            self._follow(read, _LONGEST * step / max(seconds, 1e-9))

    def _step(self, replies: int) -> float:
        return self._step_seconds.get(replies) or max(self._step_seconds.values(), default=0.0)

    def _follow(self, read: int, fitting: float) -> None:
        """Change the size of a part by how many times longer its step might have taken; a prompt's short end says less."""
        change = min(max(fitting, _SHRINK), _GROW)
        if change < 1 or read >= int(self._part):
            self._part = min(max(self._part * change, _SMALLEST_PART), float(self._batch))


def _mean(before: float, newest: float) -> float:
    return newest if not before else (1 - _NEWEST) * before + _NEWEST * newest
