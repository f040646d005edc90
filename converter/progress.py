"""Progress of long work: the same events for a download and a conversion, for the terminal and the window."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.sentence import Sentence

_SECONDS = 0.1
_RECENT = 5.0
"""Seconds that the speed is measured over."""
STALLED_SECONDS = 2.0
"""Seconds without a byte."""
_SILENT = 0.3
"""Seconds without a byte after which a failure is worth saying: other connections may go on."""

Phase = Literal["downloading", "calibrating", "converting", "checking"]


@dataclass(frozen=True)
class Retry:
    """A request that failed, and is made again."""

    reason: Sentence
    """In a few words."""
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Progress:
    """How far the work is."""

    bytes_done: int
    bytes_total: int
    """0: not known yet."""
    items_done: int
    items_total: int
    """Tensors of a conversion, files of a download."""
    item: str
    """The one in hand."""
    bytes_per_second: float
    """Of the last seconds."""
    seconds_left: float | None
    phase: Phase
    stalled: bool = False
    """Nothing came for a while: there is no speed then."""
    resumed: int = 0
    """Bytes of `bytes_done` that an earlier run did."""
    retry: Retry | None = None
    """Why nothing comes, and until when."""
    mirror: str = ""
    """The host that the file in hand comes from, where the one that was asked failed."""

    @property
    def bytes_left(self) -> int:
        """Remaining bytes."""
        return max(0, self.bytes_total - self.bytes_done)


ProgressListener = Callable[[Progress], None]


class Meter:
    """Counts what is done and tells a listener about ten times a second."""

    def __init__(
        self, listener: ProgressListener | None, bytes_total: int, items_total: int, phase: Phase, *, resumed: int = 0
    ) -> None:
        """Start the clock.

        Args:
            listener: hears of progress on the thread that counts.
            bytes_total: bytes of the whole work.
            items_total: its tensors or files.
            phase: what is being done.
            resumed: bytes that an earlier run did already; they count as done, but not as speed.
        """
        self._listener = listener
        self._bytes_total = bytes_total
        self._items_total = items_total
        self._phase = phase
        self._resumed = resumed
        self._last = self._last_byte = time.monotonic()
        self._recent = deque([(self._last, resumed)])
        self._retry: Retry | None = None
        self.mirror = ""
        """As in `Progress`."""
        self.bytes = resumed
        self.items = 0

    def try_again(self, reason: Sentence, seconds: float) -> None:
        """Note that a request failed and is made again in some seconds; from any thread, as nothing is told here."""
        self._retry = Retry(reason, time.time() + seconds)

    def add(self, count: int, item: str) -> None:
        """Note that `count` more bytes of `item` are done: negative when some must be done again, 0 while nothing comes."""
        self.bytes += count
        now = time.monotonic()
        if count:
            self._last_byte = now
        if count > 0 and self._retry is not None and time.time() >= self._retry.at:
            self._retry = None  # before that, what came may be of another connection
        if count < 0:
            self._recent = deque([(now, self.bytes)])
        if self._listener is None or (now - self._last < _SECONDS and self.bytes < self._bytes_total):
            return
        self._last = now
        stalled = now - self._last_byte >= STALLED_SECONDS and self.bytes < self._bytes_total
        speed = 0.0 if stalled else self._speed(now)
        left = (self._bytes_total - self.bytes) / speed if speed else None
        self._listener(
            Progress(
                self.bytes,
                self._bytes_total,
                self.items,
                self._items_total,
                item,
                speed,
                left,
                self._phase,
                stalled,
                self._resumed,
                self._retry if now - self._last_byte >= _SILENT else None,
                self.mirror,
            )
        )

    def _speed(self, now: float) -> float:
        """Return the bytes a second since the last moment that is `_RECENT` ago, or since the start."""
        while len(self._recent) > 1 and now - self._recent[1][0] >= _RECENT:
            self._recent.popleft()
        begin, done = self._recent[0]
        self._recent.append((now, self.bytes))
        return max(self.bytes - done, 0) / max(now - begin, 1e-6)
