"""The limit of download speed in this process: one allowance for all connections together.

Who takes content out of a connection waits here; what nobody takes stays with the host, since the connection's buffers are full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_STEP = 0.1
"""Seconds between two looks at whether to stop, and at the limit."""
_SHORTEST = 0.001
"""Seconds of a wait: what rounding leaves to be waited for may be too little to move any clock."""
_ASKED_EVERY = 1.0
"""Seconds that a limit counts before it is asked for again."""
_SAVED = 0.5
"""Seconds' worth of bytes that may come at once after a pause."""


class SpeedLimit:
    """A bucket into which bytes drip; taking more than there is makes the next one wait."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Begin without a limit; `clock` and `sleep` are time's own."""
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._asked: Callable[[], float] = float
        self._limit = 0.0
        self._asked_at = -_ASKED_EVERY
        self._there = 0.0
        self._filled_at = 0.0

    def follow(self, limit: Callable[[], float]) -> None:
        """Ask for the limit, in bytes a second, about once a second; 0: there is none."""
        with self._lock:
            self._asked, self._asked_at = limit, self._clock() - _ASKED_EVERY

    def take(self, count: int, tick: Callable[[], None]) -> None:
        """Wait until so many bytes may come; `tick` is called about ten times a second, and may raise to stop."""
        with self._lock:
            if self._filled() > 0:
                self._there -= count
        while (seconds := self._lacking()) > 0:
            tick()
            self._sleep(min(_STEP, max(_SHORTEST, seconds)))

    def _lacking(self) -> float:
        """Return the seconds until what was taken has dripped in."""
        with self._lock:
            limit = self._filled()
            return -self._there / limit if limit > 0 and self._there < 0 else 0.0

    def _filled(self) -> float:
        """Let in what has dripped since the last time, and return the limit."""
        now = self._clock()
        if now - self._asked_at >= _ASKED_EVERY:
            before, self._limit, self._asked_at = self._limit, self._asked(), now
            if before <= 0 or self._limit <= 0:
                self._there, self._filled_at = 0.0, now
        self._there = min(self._there + (now - self._filled_at) * self._limit, _SAVED * self._limit)
        self._filled_at = now
        return self._limit


LIMIT = SpeedLimit()
"""Of this process."""
