"""Log records of the `mcp` package go into their server's log, never into a chat in a terminal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from desktop_app.processes.logs import open_log

_LOGGER = logging.getLogger("mcp")
_LOGGER.addHandler(logging.NullHandler())
_LONGEST = 2_000


def log_name(server: str) -> str:
    """Return what a server's log is called."""
    return f"mcp-{server}"


@contextmanager
def library_log(server: str) -> Iterator[None]:
    """Write what is said on this thread, which serves one server alone, into the server's log."""
    handler = _OfThread(server, threading.get_ident())
    _LOGGER.propagate = False
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)


class _OfThread(logging.Handler):
    def __init__(self, server: str, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._server, self._thread = server, thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            with open_log(log_name(self._server)) as log:
                log.write(f"{record.getMessage()[:_LONGEST]}\n".encode(errors="replace"))
