"""States of sequences that cannot be rolled back, taken as each turn goes: a few MB each and exact."""

from __future__ import annotations

from collections.abc import Sequence

from desktop_app.sequences import snapshot_count

State = tuple[int, bytes | bytearray]
"""A number of tokens, and what the model remembers of them."""


class Snapshots:
    """The last few states, the longest last."""

    def __init__(self) -> None:
        """Begin without any."""
        self._taken: list[State] = []

    @property
    def taken(self) -> Sequence[State]:
        """The snapshots that can be restored."""
        return self._taken

    def take(self, count: int, state: bytes | bytearray) -> None:
        """Remember the state after `count` tokens; the oldest ones go when there are as many as the memory plan counts with."""
        shorter = [snapshot for snapshot in self._taken if snapshot[0] < count]
        self._taken = [*shorter, (count, state)][-snapshot_count(len(state)) :]

    def back_to(self, count: int) -> State | None:
        """Forget the states after `count` tokens; return the last one left, or None."""
        self._taken = [snapshot for snapshot in self._taken if snapshot[0] <= count]
        return self._taken[-1] if self._taken else None

    def drop(self, count: int) -> None:
        """Forget the state after exactly `count` tokens."""
        self._taken = [snapshot for snapshot in self._taken if snapshot[0] != count]

    def clear(self) -> None:
        """Forget all."""
        self._taken.clear()
