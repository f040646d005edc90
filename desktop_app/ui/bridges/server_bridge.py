"""The local server for the window: switched on and off, with what it was asked last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal

from desktop_app.settings import Settings
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.server.process import Answered, Ready, ServerProcess

_LAST = 100
"""Requests that are remembered."""


class ServerBridge(QObject):
    """A `ServerProcess` whose news come on the window's thread."""

    changed = Signal()
    """It was switched on or off, became ready, or answered a request."""
    failed = Signal(Exception)
    """It could not be started, or ended by itself."""
    _posted = Signal(object)

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        """Begin switched off."""
        super().__init__(parent)
        self.settings = settings
        self._process: ServerProcess | None = None
        self._ending: list[ServerProcess] = []
        self.ready: Ready | None = None
        """Where it listens; None: it does not, or not yet."""
        self.last: deque[Answered] = deque(maxlen=_LAST)
        """The last requests, the newest first."""
        self._posted.connect(lambda function: function(), Qt.ConnectionType.QueuedConnection)

    @property
    def is_on(self) -> bool:
        """It listens, or is about to."""
        return self._process is not None

    def switch_on(self, port: int, *, network: bool) -> None:
        """Start it; `changed` or `failed` follows. What was chosen is remembered.

        Args:
            port: where it listens.
            network: other computers are answered too.
        """
        from desktop_app.server.process import NETWORK, THIS_COMPUTER, ServerProcess, ServerSettings

        if self._process is not None:
            return
        self.settings.server_port, self.settings.server_network = port, network
        where = ServerSettings(NETWORK if network else THIS_COMPUTER, port)
        turn: list[ServerProcess] = []

        def of_this(function: Callable[..., None]) -> Callable[..., None]:
            return lambda *values: self._posted.emit(lambda: function(turn[0], *values))

        try:
            turn.append(ServerProcess(where, of_this(self._is_ready), of_this(self._answered), of_this(self._ended)))
        except ZhiyinError as error:
            self.failed.emit(error)
            return
        self._process = turn[0]
        self.changed.emit()

    def switch_off(self) -> None:
        """Stop it; nobody is answered any more."""
        process, self._process, self.ready = self._process, None, None
        if process is not None:
            self._ending.append(process)
            process.stop()
            self.changed.emit()

    def close(self) -> None:
        """End it; nothing is told after this."""
        self.blockSignals(True)
        self.switch_off()
        for process in self._ending:
            process.close()

    def _is_ready(self, process: ServerProcess, ready: Ready) -> None:
        if process is self._process:
            self.ready = ready
            self.changed.emit()

    def _answered(self, process: ServerProcess, answered: Answered) -> None:
        if process is self._process:
            self.last.appendleft(answered)
            self.changed.emit()

    def _ended(self, process: ServerProcess, error: ZhiyinError | None) -> None:
        if process in self._ending:
            self._ending.remove(process)
        if process is self._process:
            self._process = self.ready = None
            self.changed.emit()
            if error is not None:
                self.failed.emit(error)
