"""Looks whether models were published anew: when the user asks, and once a day where connections may be made unasked."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_app.network import ONLINE, position
from desktop_app.ui.bridges.background import Background
from models.errors import Cancelled

_HOUR_MS = 3600 * 1000


class NewerBridge(QObject):
    """One look at a time, in a process of its own."""

    looked = Signal(bool, list)
    """Whether some model was published anew, and why hosts gave no answer (errors)."""
    failed = Signal(Exception)

    def __init__(self, parent: QObject | None = None) -> None:
        """Nothing is asked for."""
        super().__init__(parent)
        self._background = Background("newer", self)
        self._stop = threading.Event()
        self.under_way = False
        self._by_itself = QTimer(self, interval=_HOUR_MS)
        self._by_itself.timeout.connect(self.look_if_due)

    def begin(self) -> None:
        """Look now and each day, where that may be done unasked."""
        self._by_itself.start()
        self.look_if_due()

    def look_if_due(self) -> None:
        """Look, if the switch is on online and the last look is a day old; nobody hears of a failure."""
        if position() == ONLINE and not self.under_way:
            self._background.run(_is_due, lambda due: self.look() if due and position() == ONLINE else None)

    def look(self) -> None:
        """Ask the host of each download."""
        from desktop_app.library.newer import look_and_tell
        from desktop_app.processes.worker import in_process

        if self.under_way:
            return
        self.under_way, self._stop = True, threading.Event()
        stop, errors = self._stop, list[Exception]()
        self._background.run(
            lambda: in_process(look_and_tell, errors.append, stop, grace=0),
            lambda is_any: self._ended(is_any=is_any, errors=errors),
            self._broke,
        )

    def close(self) -> None:
        """Give up what is under way."""
        self._by_itself.stop()
        self._stop.set()
        self._background.close()

    def _ended(self, *, is_any: bool, errors: list[Exception]) -> None:
        self.under_way = False
        self.looked.emit(is_any, errors)

    def _broke(self, error: Exception) -> None:
        self.under_way = False
        if not isinstance(error, Cancelled):
            self.failed.emit(error)


def _is_due() -> bool:
    from desktop_app.library.newer import is_due

    return is_due()
