"""Several connections fetch one file: each a part of it at a time, and the parts are given out in the file's order.

A host gives one connection so many bytes a second, and each request waits for a round trip; several at once take what the line
has. Parts that come before their turn wait in memory, so that a file on disk has no holes: what a killed download leaves is the
beginning of the file, as that of one connection is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

PART = 16 * 1024**2
"""Bytes."""
AT_ONCE = 6
"""Connections."""
_AHEAD = 8
"""Parts that are under way or wait for their turn: 128 MB of memory at most."""
_STEP = 0.1
"""Seconds between two looks at whether to stop."""

FetchPart = Callable[[int, memoryview, Callable[[int], None], threading.Event], None]
"""Given the first byte, where the bytes go (as many as it has), who counts what comes, and an event that is set when nobody waits
any more."""


class PartsInOrder:
    """Iterates over the bytes of a file from some place on."""

    def __init__(self, fetch: FetchPart, first: int, size: int, tick: Callable[[int], None]) -> None:
        """Begin with nothing.

        Args:
            fetch: fetches a part, on one of several threads.
            first: the first byte that is missing.
            size: of the file.
            tick: called on the caller's thread about ten times a second with the bytes that came since; may raise to stop.
        """
        self._fetch = fetch
        self._next, self._size = first, size
        self._tick = tick
        self._lock = threading.Lock()
        self._came = 0
        """Bytes that `tick` has not heard of."""
        self._uncollected = 0
        """Bytes that came and were not given out."""
        self._free: list[bytearray] = []
        """Memory of parts that were given out: asking the system for it anew costs more than filling it."""

    def __iter__(self) -> Iterator[memoryview]:
        """Give the parts in order; each is good until the next one.

        Raises:
            Exception: what `fetch` raised for the part whose turn it is, or `tick`.
        """
        stop = threading.Event()
        under_way: deque[tuple[Future[None], bytearray, memoryview]] = deque()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hub-part") as pool:
            try:
                while self._next < self._size or under_way:
                    while self._next < self._size and len(under_way) < _AHEAD:
                        buffer = self._free.pop() if self._free else bytearray(PART)
                        data = memoryview(buffer)[: self._size - self._next]
                        future = pool.submit(self._fetch, self._next, data, self._count, stop)
                        under_way.append((future, buffer, data))
                        self._next += len(data)
                    self._await(under_way[0][0])
                    future, buffer, data = under_way.popleft()
                    future.result()
                    self._uncollected -= len(data)
                    yield data
                    self._free.append(buffer)
            finally:
                stop.set()
                for future, *_ in under_way:
                    future.cancel()

    @property
    def lost(self) -> int:
        """Bytes that were counted and not given out; known when the iteration is over."""
        return self._uncollected - self._came

    def _await(self, part: Future[None]) -> None:
        while True:
            done = wait_for((part,), _STEP).done
            with self._lock:
                came, self._came = self._came, 0
            self._tick(came)
            if done:
                return

    def _count(self, count: int) -> None:
        with self._lock:
            self._came += count
            self._uncollected += count
