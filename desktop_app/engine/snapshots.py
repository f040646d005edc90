"""States of sequences that cannot be rolled back, taken before the last token of each prompt: a few MB each and exact."""

from __future__ import annotations

from typing import Generic, TypeVar

State = TypeVar("State")

_MOST = 8


class Snapshots(Generic[State]):
    """The last few states by the number of tokens that they hold."""

    def __init__(self) -> None:
        """Begin without any."""
        self._taken: list[tuple[int, State]] = []

    def take(self, count: int, state: State) -> None:
        """Remember the state after `count` tokens."""
        self._taken = [*self._taken[1 - _MOST :], (count, state)]

    def back_to(self, count: int) -> tuple[int, State] | None:
        """Forget the states after `count` tokens; return the last one left, or None."""
        self._taken = [snapshot for snapshot in self._taken if snapshot[0] <= count]
        return self._taken[-1] if self._taken else None

    def clear(self) -> None:
        """Forget all."""
        self._taken.clear()
