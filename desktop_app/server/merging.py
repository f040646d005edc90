"""Several streams as one, each part with the number of its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def merged(streams: Sequence[AsyncIterator[T]]) -> AsyncIterator[tuple[int, T | None]]:
    """Yield what the streams yield, as it comes; None at the end of each. The first failure ends all."""
    if len(streams) == 1:
        async for part in streams[0]:
            yield 0, part
        yield 0, None
        return
    parts: asyncio.Queue[tuple[int, T | None, Exception | None]] = asyncio.Queue()

    async def follow(number: int, stream: AsyncIterator[T]) -> None:
        try:
            async for part in stream:
                parts.put_nowait((number, part, None))
            parts.put_nowait((number, None, None))
        except Exception as error:
            parts.put_nowait((number, None, error))

    tasks = [asyncio.ensure_future(follow(number, stream)) for number, stream in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            number, following, error = await parts.get()
            if error is not None:
                raise error
            running -= following is None
            yield number, following
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
