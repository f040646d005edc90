"""Guesses from the context: what followed the last tokens where they stood before.

As in Saxena, "Prompt Lookup Decoding" (2023), but of several places the one with the longest common past counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

SHORTEST = 3
"""Tokens that must be the same: pairs are found everywhere, and what follows them is another thing each time."""
LONGEST = 32
"""Compared tokens: past so many there is no doubt."""
_PLACES = 4
"""Looked at, the newest first."""
_NOWHERE = -1


class Guess(NamedTuple):
    """Guessed next tokens."""

    tokens: Sequence[int]
    match: int
    """So many of the last tokens are the same in the place that it is taken from."""


NOTHING = Guess((), 0)


class PromptLookup:
    """The tokens of a chat, and where each group of `SHORTEST` of them ends."""

    def __init__(self, tokens: Iterable[int]) -> None:
        """Begin with a prompt."""
        self._tokens: list[int] = []
        self._last: dict[tuple[int, ...], int] = {}
        """The newest place behind each group."""
        self._earlier: list[int] = []
        """By place: the one before it behind the same group."""
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Append a token."""
        self._tokens.append(token)
        group = tuple(self._tokens[-SHORTEST:])
        self._earlier.append(self._last.get(group, _NOWHERE))
        self._last[group] = len(self._tokens) - 1

    def guess(self, most: int) -> Guess:
        """Return at most so many tokens that may come next."""
        if len(self._tokens) < SHORTEST or most <= 0:
            return NOTHING
        best, longest = _NOWHERE, 0
        place = self._earlier[-1]
        for _ in range(_PLACES):
            if place == _NOWHERE:
                break
            match = self._common_past(place)
            if match > longest:
                best, longest = place, match
            place = self._earlier[place]
        if longest < SHORTEST:
            return NOTHING
        return Guess(self._following(best + 1, most), longest)

    def _following(self, start: int, most: int) -> Sequence[int]:
        """Return what follows a place; where it runs into the end, the text repeats itself and goes on so."""
        following = self._tokens[start : start + most]
        while len(following) < most:
            following += following[: most - len(following)]
        return following

    def _common_past(self, place: int) -> int:
        """Return how many tokens up to a place are the same as the last ones."""
        tokens, end = self._tokens, len(self._tokens) - 1
        count = 0
        while count < LONGEST and count <= place and tokens[place - count] == tokens[end - count]:
            count += 1
        return count
