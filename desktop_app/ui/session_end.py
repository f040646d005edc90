"""Termination from outside: Ctrl+C, `kill`, a closed terminal, logging out, shutting the computer down."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Qt
from PySide6.QtWidgets import QApplication

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class SessionEnd(QObject):
    """Lets the window save and end in order, while it lives."""

    def __init__(self, application: QApplication, keep: Callable[[], None], end: Callable[[], None]) -> None:
        """Follow the system.

        Args:
            application: the one that runs.
            keep: saves everything and returns when it is on disk; the session may go on afterwards.
            end: closes the window and quits.
        """
        super().__init__(application)
        self._end = end
        application.commitDataRequest.connect(lambda _: keep(), Qt.ConnectionType.DirectConnection)
        # Python's handlers run between two steps of Python only, and Qt may wait in its own code for long: the system writes
        # the signal's number into a socket, which wakes Qt.
        self._heard, self._told = socket.socketpair()
        self._heard.setblocking(False)
        self._told.setblocking(False)
        self._notifier = QSocketNotifier(self._heard.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._signalled)
        self._old_wakeup = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _nothing) for number in _SIGNALS}

    def close(self) -> None:
        """Leave the signals as they were."""
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._notifier.setEnabled(False)
        self._heard.close()
        self._told.close()

    def _signalled(self) -> None:
        if any(number in _SIGNALS for number in self._heard.recv(64)):
            self._end()


def _nothing(_: int, __: FrameType | None) -> None:
    """Take the place of Python's handler; `_signalled` acts."""
