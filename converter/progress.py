"""How far long work is: the same events for a download and a conversion, for the terminal and the window."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_SECONDS = 0.1

Phase = Literal["downloading", "converting", "checking"]


@dataclass(frozen=True)
class Progress:
    """How far the work is."""

    bytes_done: int
    bytes_total: int
    items_done: int
    items_total: int
    """Tensors of a conversion, files of a download."""
    item: str
    """The one in hand."""
    bytes_per_second: float
    seconds_left: float | None
    phase: Phase


ProgressListener = Callable[[Progress], None]


class Meter:
    """Counts what is done and tells a listener about ten times a second."""

    def __init__(
        self, listener: ProgressListener | None, bytes_total: int, items_total: int, phase: Phase, *, there: int = 0
    ) -> None:
        """Start the clock.

        Args:
            listener: hears of progress on the thread that counts.
            bytes_total: bytes of the whole work.
            items_total: its tensors or files.
            phase: what is being done.
            there: bytes that an earlier run did already; they count as done, but not as speed.
        """
        self._listener = listener
        self._bytes_total = bytes_total
        self._items_total = items_total
        self._phase = phase
        self._there = there
        self._start = self._last = time.monotonic()
        self.bytes = there
        self.items = 0

    def add(self, count: int, item: str) -> None:
        """Note that `count` more bytes of `item` are done; negative when some must be done again."""
        self.bytes += count
        now = time.monotonic()
        if self._listener is None or (now - self._last < _SECONDS and self.bytes < self._bytes_total):
            return
        self._last = now
        speed = max(self.bytes - self._there, 0) / max(now - self._start, 1e-6)
        left = (self._bytes_total - self.bytes) / speed if speed else None
        done = Progress(self.bytes, self._bytes_total, self.items, self._items_total, item, speed, left, self._phase)
        self._listener(done)
