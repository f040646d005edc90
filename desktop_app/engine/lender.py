"""Lends this computer to others: listens where it is told, lets in who is allowed, and has a process for each connection.

ggml's own server has no list of who may connect, and one message of a stranger may end it. So it listens inside this computer
only, each connection has a process of its own, and what comes from outside goes through here.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from ipaddress import IPv4Network, IPv6Network
from typing import BinaryIO, cast

from converter.hub.permission import address_in
from desktop_app.processes.logs import open_log
from desktop_app.processes.start import end, start

MOST = 8
"""Connections at once."""
_PIECE = 1 << 20
_STARTING = 60.0
"""Seconds that the process of a connection may take to listen: drivers compile their kernels first."""
_FIRST_WORD = 30.0

Heard = Callable[[str, str], None]
"""Is told of a connection: the address, and what became of it (begun, ended, refused, full, failed)."""


class Lender:
    """A worker that listens."""

    def __init__(
        self, listener: socket.socket, allowed: Sequence[IPv4Network | IPv6Network], threads: int, heard: Heard
    ) -> None:
        """Take a socket that listens; `allowed`: who may connect."""
        self._listener, self._allowed, self._threads, self._heard = listener, allowed, threads, heard
        self._places = threading.Semaphore(MOST)

    def serve(self) -> None:
        """Let in who may, until the socket is closed."""
        while True:
            try:
                connection, (host, *_) = self._listener.accept()
            except OSError:
                return
            if not self.lets_in(host):
                connection.close()
                self._heard(host, "refused")
            elif not self._places.acquire(blocking=False):
                connection.close()
                self._heard(host, "full")
            else:
                threading.Thread(target=self._serve_one, args=(connection, host), daemon=True).start()

    def lets_in(self, host: str) -> bool:
        """Tell whether an address may connect."""
        address = address_in(host)
        return address is not None and any(
            address in network for network in self._allowed if network.version == address.version
        )

    def _serve_one(self, connection: socket.socket, host: str) -> None:
        try:
            with connection:
                self._pass_on(connection, host)
        finally:
            self._places.release()

    def _pass_on(self, connection: socket.socket, host: str) -> None:
        _prepare(connection)
        connection.settimeout(_FIRST_WORD)
        with suppress(OSError):
            if not connection.recv(1, socket.MSG_PEEK):
                return  # somebody looked whether there is a worker
            connection.settimeout(None)
            self._heard(host, "begun")
            try:
                self._with_process(connection)
            except OSError:
                self._heard(host, "failed")
            else:
                self._heard(host, "ended")

    def _with_process(self, connection: socket.socket) -> None:
        """Start a process, connect to it, and pass on both ways until either side ends."""
        port = _free_port()
        with open_log("worker") as log:
            process = start("--lend", log)
        try:
            pipe = cast(BinaryIO, process.stdin)
            pipe.write(f"{port} {self._threads}\n".encode())
            pipe.flush()
            with closing(_connected(port, process.poll)) as inside:
                back = threading.Thread(target=_copy, args=(inside, connection), daemon=True)
                back.start()
                _copy(connection, inside)
                back.join()
        finally:
            end(process)


def _connected(port: int, ended: Callable[[], int | None]) -> socket.socket:
    """Return a connection to the process, which takes a moment to listen."""
    last = time.monotonic() + _STARTING
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
        except OSError:
            if ended() is not None or time.monotonic() > last:
                raise
            time.sleep(0.05)
        else:
            _prepare(connection)
            return connection


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until one side ends, and end the other then."""
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    with suppress(OSError):
        while count := source.recv_into(view):
            target.sendall(view[:count])
    for side in (source, target):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


def _prepare(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
