"""Proxies on this computer that lead every connection to one server, and some that are none."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket], None]
"""Serves one client of a proxy."""


@contextmanager
def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Lend the port of a server that serves each client on a thread of its own."""

    def client(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=client, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def http_proxy(port: int, password: str = "") -> Serve:
    """Return an HTTP proxy to a port of this computer, by CONNECT and by whole addresses; with a password for `me` or without."""
    wanted = b"Proxy-Authorization: Basic " + base64.b64encode(f"me:{password}".encode())

    def serve(client: socket.socket) -> None:
        head = _head(client)
        if password and wanted.lower() not in head.lower():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as target:
            if head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                method, address, rest = head.split(b" ", 2)
                path = b"/" + address.split(b"/", 3)[3]
                target.sendall(b" ".join((method, path, rest)))
            _join(client, target)

    return serve


def socks_proxy(port: int, reply: int = 0) -> Serve:
    """Return a SOCKS5 proxy to a port of this computer, or one that refuses with a reply code."""

    def serve(client: socket.socket) -> None:
        methods = client.recv(2)[1]
        client.recv(methods)
        client.sendall(b"\x05\x00")
        kind = client.recv(4)[3]
        client.recv(4 if kind == 1 else 16 if kind == 4 else client.recv(1)[0])
        client.recv(2)
        client.sendall(bytes((5, reply, 0, 1, 127, 0, 0, 1, 0, 0)))
        if not reply:
            with socket.create_connection(("127.0.0.1", port)) as target:
                _join(client, target)

    return serve


def forward(port: int) -> Serve:
    """Return a server that is another one; with TLS in front of it, where it has none."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            _join(client, target)

    return serve


def says(answer: bytes) -> Serve:
    """Return a server that gives the same answer to whatever is asked."""

    def serve(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)

    return serve


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (more := client.recv(4096)):
        head += more
    return head


def _join(first: socket.socket, second: socket.socket) -> None:
    """Send what each of two says to the other, until one ends."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    other = threading.Thread(target=copy, args=(second, first), daemon=True)
    other.start()
    copy(first, second)
    other.join()
