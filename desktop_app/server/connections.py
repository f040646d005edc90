"""Connections: how many at once, and how long a client may take to say what it wants."""

from __future__ import annotations

import asyncio
import sys
from functools import cache

from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST_CONNECTIONS = 1024
"""Further ones are closed at once."""
_HEADER_SECONDS = 15.0
"""Within which a connection's first request has its headers."""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with bounds on what connections cost that say nothing (slow loris, floods)."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._waiting = self.loop.call_later(_HEADER_SECONDS, self._close_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what came; the time runs until the headers of a request are whole, and anew for the next request."""
        super().handle_events()
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        elif not busy and self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(_HEADER_SECONDS, self._close_silent)

    def _close_silent(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


@cache
def most_connections() -> int:
    """Return how many connections are kept: half of the files that the system lets this process open, at most."""
    if sys.platform == "win32":
        return _MOST_CONNECTIONS
    import resource

    return min(_MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
