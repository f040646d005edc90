"""An MCP server at an address for tests, in plain JSON over HTTP: well-behaved, or in the way that its kind names."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PART = b"x" * (1 << 20)
CONTENT = [
    {"type": "resource", "resource": {"uri": "test://one", "text": "the text of a resource"}},
    {"type": "resource_link", "uri": "test://two", "name": "two"},
    {"type": "image", "data": "aGk=", "mimeType": "image/png"},
]


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that goes away in the middle of an answer: that is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    kind = ""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.give(405, b"")

    def do_DELETE(self) -> None:
        self.give(200, b"")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in request:
            self.give(202, b"")
        elif self.kind.isdigit() or (self.kind.startswith("late ") and request["method"] == "tools/call"):
            self.give(int(self.kind.removeprefix("late ")), b"<html>Denied</html>", content_type="text/html")
        elif self.kind in ("away", "round"):
            place = self.path if self.kind == "round" else "http://192.0.2.1/mcp"
            self.give(307, b"", location=place)
        elif request["method"] == "tools/call" and self.kind in ("large", "packed", "page", "stream", "flood"):
            with suppress(OSError):  # the client leaves
                getattr(self, self.kind)()
        else:
            result = {"jsonrpc": "2.0", "id": request["id"], "result": self.result(request)}
            self.give(200, json.dumps(result).encode())

    def result(self, request: dict[str, Any]) -> dict[str, Any]:
        params = request.get("params") or {}
        if request["method"] == "initialize":
            version = params["protocolVersion"]
            return {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            }
        if request["method"] == "tools/call":
            return {"content": CONTENT}
        at = int(params.get("cursor", 0))
        more = {"nextCursor": str(at + 1)} if self.kind == "endless" or (self.kind == "pages" and at < 2) else {}
        return {"tools": [tool(f"tool{at}")], **more}

    def give(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        for name, value in {"content_type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def large(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b'{"x": "')
        for _ in range(50):
            self.wfile.write(PART)

    def packed(self) -> None:
        self.give(200, gzip.compress(PART * 20, 1), content_encoding="gzip")

    def stream(self) -> None:
        """Send events that are none, without end."""
        self._begin_stream()
        while True:
            self.wfile.write(b": still here\n\n")
            time.sleep(0.05)

    def flood(self) -> None:
        """Send notifications without end."""
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "line"}}
        self._begin_stream()
        while True:
            self.wfile.write(f"event: message\ndata: {json.dumps(note)}\n\n".encode())

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def page(self) -> None:
        self.give(200, b"<html>", content_type="application/json")


@contextmanager
def http_server(kind: str) -> Iterator[str]:
    """Run one; yield its address."""
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"kind": kind})) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()
