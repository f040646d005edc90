"""A server's process as a transport of the `mcp` package, with limits that its own has not: a message's size, and the end.

The process ends with the thread that started it where the system has that, and its group is killed at the end.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, cast

import anyio
from mcp import types
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from desktop_app.assistant.mcp.configuration import Server

LARGEST_MESSAGE = 8 << 20
"""Bytes of one line: more is no result that a model could read."""
_LARGEST_LOG, _PART = 4 << 20, 64 << 10
"""Bytes of what a server says beside its messages, while it runs."""
_LONGEST_LINE = 2_000
"""Of a line that is no message, in the log."""
_GRACE = 2.0


class MessageTooLarge(Exception):
    """A server sent a line that is larger than any message."""


class _Log:
    """What a process says beside its messages, up to a size: the rest is dropped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, _LARGEST_LOG

    def write(self, part: bytes) -> None:
        """Write a part, as far as there is room."""
        with suppress(OSError):
            self._file.write(part[: max(0, self._left)])
            if 0 <= self._left < len(part):
                self._file.write(b"\n[... more is left out ...]\n")
            self._file.flush()
        self._left -= len(part)


@asynccontextmanager
async def process_streams(server: Server, log: BinaryIO, on_end: Callable[[], None]) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server's program; yield the streams that a session reads and writes.

    Args:
        server: its program.
        log: for what it says beside its messages, in the wrong stream, too.
        on_end: hears that it will say nothing more.

    Raises:
        OSError: it does not start.
    """
    process = await asyncio.create_subprocess_exec(
        server.command,
        *server.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=get_default_environment() | server.env,
        cwd=server.cwd,
        limit=LARGEST_MESSAGE,
        start_new_session=True,
        preexec_fn=_end_with_thread() if sys.platform == "linux" else None,
    )
    incoming, readable = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    writable, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as tasks:
            notes = _Log(log)
            tasks.start_soon(_read, process, incoming, notes, on_end)
            tasks.start_soon(_write, process, outgoing)
            tasks.start_soon(_keep, process, notes)
            yield readable, writable
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
        for stream in (incoming, readable, writable, outgoing):
            stream.close()


async def _read(process: asyncio.subprocess.Process, incoming: Any, log: _Log, on_end: Callable[[], None]) -> None:
    """Hand on the messages of a process until it ends; a line that is none is for the log, and an error of the session."""
    pipe = cast(asyncio.StreamReader, process.stdout)
    async with incoming:
        while True:
            try:
                line = await pipe.readline()
            except ValueError:  # longer than the limit: nothing after it can be told apart
                with suppress(anyio.BrokenResourceError):
                    await incoming.send(MessageTooLarge())
                return
            if not line:
                on_end()
                return
            try:
                message: SessionMessage | Exception = SessionMessage(
                    types.jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
                )
            except ValueError as error:
                log.write(line[:_LONGEST_LINE])
                message = error
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await incoming.send(message)


async def _keep(process: asyncio.subprocess.Process, log: _Log) -> None:
    """Write what a process says beside its messages into its log."""
    pipe = cast(asyncio.StreamReader, process.stderr)
    while part := await pipe.read(_PART):
        log.write(part)


async def _write(process: asyncio.subprocess.Process, outgoing: Any) -> None:
    pipe = cast(asyncio.StreamWriter, process.stdin)
    async with outgoing:
        async for message in outgoing:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            with suppress(OSError):
                pipe.write(text.encode() + b"\n")
                await pipe.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, and end it with all it started where it does not end by itself."""
    if process.stdin is not None:
        process.stdin.close()
    # The end of a process is only seen once its pipes were read to theirs.
    drains = [asyncio.ensure_future(_drain(pipe)) for pipe in (process.stdout, process.stderr)]
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), _GRACE)
    with suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), _GRACE)
    for drain in drains:
        drain.cancel()
    await asyncio.gather(*drains, return_exceptions=True)


async def _drain(pipe: asyncio.StreamReader | None) -> None:
    while pipe is not None and await pipe.read(_PART):
        pass


def _end_with_thread() -> Callable[[], None]:
    """Return what the new process calls so that the kernel ends it with the thread that starts it."""
    prctl = ctypes.CDLL(None).prctl

    def call() -> None:
        prctl(1, signal.SIGKILL, 0, 0, 0)

    return call
