"""Shared by the handlers of all protocols: services and the writing of answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from desktop_app.server.activity import Activity, Exchange
from desktop_app.server.errors import APIError
from desktop_app.server.model_pool import ModelPool

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """The server's parts."""

    pool: ModelPool
    activity: Activity


def services(request: Request) -> Services:
    """Return the parts of the server that a request came to."""
    held: Services = request.app.state.services
    return held


def exchange(request: Request) -> Exchange:
    """Return what is noted of a request."""
    noted: Exchange = request.scope["zhiyin.exchange"]
    return noted


def json_response(value: Any, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Wait for an answer, and give up when the client leaves before it is there.

    Raises:
        APIError: it left; nobody hears that.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise APIError(499, "The client left.")
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Streaming(StreamingResponse):
    """An answer that comes in parts; what it needs is freed at its end, and when the client leaves."""

    def __init__(self, parts: AsyncIterator[bytes], held: AsyncExitStack, media_type: str) -> None:
        """Send `parts`, and close `held` afterwards."""
        super().__init__(parts, media_type=media_type, headers={"Cache-Control": "no-cache"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        async with self._held:
            await super().__call__(scope, receive, send)


def server_sent(data: Mapping[str, Any], event: str = "") -> bytes:
    """Return an event as `text/event-stream` writes it."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + msgspec.json.encode(data) + b"\n\n"


def json_line(data: Mapping[str, Any]) -> bytes:
    """Return a line of `application/x-ndjson`."""
    return msgspec.json.encode(data) + b"\n"
