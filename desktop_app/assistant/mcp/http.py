"""A server at an address as a transport of the `mcp` package, with a limit that its own has not: an answer's size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from httpx2 import AsyncByteStream, AsyncClient, Response, StreamError, Timeout
from mcp.client.streamable_http import streamable_http_client

from desktop_app.assistant.mcp.configuration import Server
from desktop_app.assistant.mcp.stdio import LARGEST_MESSAGE

_LONGER = 30.0
"""Seconds that an answer may take besides those that a call waits for it, so that the call's own limit comes first."""


async def http_streams(
    server: Server,
    stack: AsyncExitStack,
    connect: float,
    call: float,
    on_large: Callable[[], None],
    on_status: Callable[[int], None],
) -> tuple[Any, Any]:
    """Return the streams that a session reads and writes, open until the stack is left.

    Args:
        server: its address and headers.
        stack: closes them.
        connect: seconds for a connection.
        call: seconds that a call waits.
        on_large: hears that the server sent more than a message may hold.
        on_status: hears how each request to it ended, by HTTP's numbers.
    """

    async def bound(response: Response) -> None:
        if response.request.method == "POST":
            on_status(response.status_code)
        packed = response.headers.get("content-encoding", "identity") != "identity"  # it was not asked for
        if packed or not isinstance(response.stream, AsyncByteStream):
            on_large()
            raise StreamError("a packed answer")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):  # its events are limited there
            response.stream = _Bounded(response.stream, on_large)

    client = AsyncClient(
        headers={"Accept-Encoding": "identity", **server.headers},
        timeout=Timeout(connect, read=call + _LONGER),
        event_hooks={"response": [bound]},
    )
    await stack.enter_async_context(client)
    streams = await stack.enter_async_context(streamable_http_client(server.url, http_client=client))
    return streams[0], streams[1]


class _Bounded(AsyncByteStream):
    """An answer's content, up to the size of a message."""

    def __init__(self, content: AsyncByteStream, on_large: Callable[[], None]) -> None:
        self._content, self._on_large, self._left = content, on_large, LARGEST_MESSAGE

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._content:
            self._left -= len(part)
            if self._left < 0:
                self._on_large()
                raise StreamError("an answer that is too large")
            yield part

    async def aclose(self) -> None:
        await self._content.aclose()
