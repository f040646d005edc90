"""The pipe on which the engine process answers: any of its threads may write a whole event."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from desktop_app.engine import protocol
from desktop_app.engine.protocol import Event, Progress

_PROGRESS_SECONDS = 0.05


class EventPipe:
    """The end of the pipe that is written to."""

    def __init__(self, events: BinaryIO) -> None:
        self._events = events
        self._lock = threading.Lock()

    def send(self, number: int, event: Event) -> None:
        """Write an event of a request."""
        data = protocol.encode_event(number, event)
        with self._lock:
            self._events.write(data)
            self._events.flush()

    def progress(self, number: int, phase: str) -> Callable[[float], None]:
        """Return a listener that passes on what changes, at most twenty times a second."""
        last = time.monotonic()

        def listener(part: float) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PROGRESS_SECONDS:
                last = now
                self.send(number, Progress(part, phase))

        return listener
