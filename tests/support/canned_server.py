"""A server that answers every connection with bytes of a test, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

HANG = None
"""In place of bytes: nothing more comes, and the connection stays open."""


@dataclass
class Canned:
    """A running one."""

    address: str
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Request line, headers in small letters, JSON."""
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def canned(*pieces: bytes | None, tls: ssl.SSLContext | None = None, listing: bytes = b"") -> Iterator[Canned]:
    """Answer with some pieces of bytes, then close.

    Args:
        pieces: `HANG` among them: nothing more comes for now.
        tls: of a server with a certificate.
        listing: what GET gets in place of the pieces.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if tls else "http"
    server = Canned(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1")

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with (
                    suppress(OSError, ValueError),
                    plain,
                    tls.wrap_socket(plain, server_side=True) if tls else plain as connection,
                ):
                    asked = _request(connection)
                    server.requests.append(asked)
                    is_list = listing and asked[0].startswith("GET ")
                    _answer(connection, (listing,) if is_list else pieces, server.release)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json", *headers: str) -> bytes:
    """Return a whole answer."""
    head = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    )
    return "\r\n".join((*head, "", "")).encode() + body


def streamed(*events: Any, end: bool = True) -> bytes:
    """Return a stream that lasts until the connection is closed."""
    lines = [
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    ]
    return STREAM + b"".join(lines) + (b"data: [DONE]\n\n" if end else b"")


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"


def delta(reason: str | None = None, **said: Any) -> dict[str, Any]:
    """Return an event of a chat's reply."""
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


def _request(connection: socket.socket) -> tuple[str, dict[str, str], Any]:
    data = connection.recv(65536)
    if data[:1] == b"\x16":  # TLS, which a server of plain HTTP cannot read
        return "", {}, None
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return first, headers, json.loads(body) if body else None


def _answer(connection: socket.socket, pieces: Sequence[bytes | None], release: threading.Event) -> None:
    for piece in pieces:
        if piece is HANG:
            release.wait(30)
        else:
            connection.sendall(piece)
