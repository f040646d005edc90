"""One window to a data folder: a second start brings the first window forward and ends."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.processes.folder_lock import FolderLock, own
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

_PATIENCE = 10.0
"""Seconds for a window that is just opening or closing."""
_ANSWER_MS = 2000
_PAUSE = 0.1
_LONGEST = 64 * 1024
"""Bytes of a message; more is nobody of ours."""
_ACTIVATION = "XDG_ACTIVATION_TOKEN"
"""Wayland's right to come forward, which the desktop gave to the second start."""


class SingleInstance(QObject):
    """Listens for later starts on the same data folder, until it is closed."""

    asked = Signal(str)
    """The window is wanted, with a file or "" for none."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        """`lock` is that of the folder."""
        super().__init__()
        self._folder, self._lock = folder, lock
        self._server: QLocalServer | None = None

    def listen(self) -> None:
        """Hear later starts from now on; without a way to listen (no place for a socket) they just end.

        Not before the first paint, which has no time for Qt's network: who starts meanwhile asks again.
        """
        from PySide6.QtNetwork import QLocalServer

        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(partial(self._connected, self._server))
        QLocalServer.removeServer(_address(self._folder))  # left by a process that was killed: the lock is ours now
        self._server.listen(_address(self._folder))

    def close(self) -> None:
        """Let another start have the folder."""
        if self._server is not None:
            self._server.close()
        self._lock.release()

    def _connected(self, server: QLocalServer) -> None:
        socket = server.nextPendingConnection()
        socket.disconnected.connect(socket.deleteLater)
        socket.readyRead.connect(lambda: self._read(socket))

    def _read(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            if socket.bytesAvailable() > _LONGEST:
                socket.abort()
            return
        with suppress(ValueError, TypeError, KeyError):
            request = json.loads(bytes(socket.readLine().data()))
            file, token = str(request["file"]), str(request["token"])
            socket.write(b"ok\n")
            socket.flush()
            if token:
                os.environ[_ACTIVATION] = token
            self.asked.emit(file)
        socket.disconnectFromServer()


def begin(folder: Path, file: Path | None = None) -> SingleInstance | None:
    """Become the one window of a folder, or ask the one that is open to come forward, with a file.

    Returns:
        None: the other window came forward.

    Raises:
        ZhiyinError: the folder cannot be written, or another process has it and does not answer.
    """
    end = time.monotonic() + _PATIENCE
    while (lock := own(folder)) is None:
        if _ask(folder, file):
            return None
        if time.monotonic() > end:
            raise ZhiyinError(
                "Zhiyin is running already with the data folder {path}, but does not answer; end it, then start it "
                "again.",
                path=folder,
            )
        time.sleep(_PAUSE)
    return SingleInstance(folder, lock)


def _ask(folder: Path, file: Path | None) -> bool:
    """Return whether a window answered."""
    from PySide6.QtNetwork import QLocalSocket

    _let_others_come_forward()
    socket = QLocalSocket()
    socket.connectToServer(_address(folder))
    if not socket.waitForConnected(_ANSWER_MS):
        return False
    request = {"file": str(file.absolute()) if file is not None else "", "token": os.environ.get(_ACTIVATION, "")}
    socket.write(json.dumps(request).encode() + b"\n")
    return socket.waitForReadyRead(_ANSWER_MS) and socket.readLine().data() == b"ok\n"


def _let_others_come_forward() -> None:
    """Give Windows' right to come forward, which the second start has, to whoever asks for it."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.AllowSetForegroundWindow(-1)


def _address(folder: Path) -> str:
    """Return where the window of a folder listens: a pipe's name on Windows, elsewhere a socket among the session's files."""
    import hashlib  # takes a while, and the first paint needs none

    name = f"zhiyin-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}"
    if sys.platform == "win32":
        return name
    return str(Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), name))
