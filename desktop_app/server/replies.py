"""One reply of the engine as events for a protocol: reasoning, content, tool calls, and how it ended."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from desktop_app.chat.reasoning import ReasoningSplitter
from desktop_app.engine.client import Engine, Job
from desktop_app.engine.protocol import Complete, Generate, Text, Update
from desktop_app.engine.results import Reply, TokenLogprob
from desktop_app.server.errors import as_api_error
from desktop_app.server.formats import called


@dataclass(frozen=True)
class Piece:
    """Some more of a reply."""

    content: str = ""
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Call:
    """A tool that the reply calls."""

    index: int
    id: str
    name: str
    arguments: str
    """JSON."""

    @property
    def values(self) -> Any:
        """The arguments as plain values."""
        with suppress(ValueError):
            return json.loads(self.arguments)
        return {}


@dataclass(frozen=True)
class CompleteReply:
    """A reply that has ended."""

    content: str
    reasoning: str
    calls: tuple[Call, ...]
    logprobs: tuple[TokenLogprob, ...]
    reply: Reply


Part = Piece | Call


class ReplyStream:
    """A reply under way: iterate over its parts, then ask for `end`."""

    def __init__(self, engine: Engine, request: Generate | Complete, *, is_call: bool = False) -> None:
        """Ask the engine; raises APIError where it cannot be started.

        `is_call`: the text, held to a schema, is a call (`formats.Answer`).
        """
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Update | None] = asyncio.Queue()
        self._first: list[Update | None] = []
        """What `begun` heard already."""
        self._splitter = ReasoningSplitter() if isinstance(request, Generate) else None
        self._is_call = is_call
        try:
            self._job: Job[Reply] = engine.submit(request, self._hear)
        except Exception as error:
            raise as_api_error(error) from error
        self._job.future.add_done_callback(lambda _: self._hear(None))

    async def begun(self) -> None:
        """Wait until the engine says anything of the reply: a failure up to then is an HTTP status.

        Raises:
            APIError: it failed.
        """
        self._first = [await self._events.get()]
        if self._first == [None]:
            self._reply()

    async def parts(self) -> AsyncIterator[Part]:
        """Yield the parts as they come.

        Raises:
            APIError: the engine failed or died.
        """
        held: list[str] = []
        while (update := self._first.pop() if self._first else await self._events.get()) is not None:
            if isinstance(update, Text):
                piece = self._split(update.text, update.logprobs)
                yield piece if not self._is_call else replace(piece, content="")
                held.append(piece.content)
        reply = self._reply()
        rest = self._split("", reply.logprobs, last=True)
        calls = _calls(reply.tool_calls)
        if self._is_call and not calls:
            text = "".join(held) + rest.content
            calls = _written_call(text)
            rest = replace(rest, content="" if calls else text)
        if rest != Piece():
            yield rest
        for call in calls:
            yield call

    def cancel(self) -> None:
        """Stop the reply, unless it has ended."""
        self._job.cancel()

    @property
    def end(self) -> Reply:
        """How the reply ended; raises APIError where it failed."""
        return self._reply()

    def _hear(self, update: Update | None) -> None:
        """Take an event on the engine's thread."""
        with suppress(RuntimeError):  # the loop is closed: the server ends
            self._loop.call_soon_threadsafe(self._events.put_nowait, update)

    def _reply(self) -> Reply:
        try:
            return self._job.future.result(0)
        except Exception as error:
            raise as_api_error(error) from error

    def _split(self, text: str, logprobs: tuple[TokenLogprob, ...], *, last: bool = False) -> Piece:
        if self._splitter is None:
            return Piece(text, "", logprobs)
        reasoning, content = self._splitter.finish() if last else self._splitter.feed(text)
        return Piece(content, reasoning, logprobs)


@asynccontextmanager
async def replying(
    engine: Engine, request: Generate | Complete, *, is_call: bool = False
) -> AsyncIterator[ReplyStream]:
    """Have a reply that is stopped when nobody listens any more; arguments as of `ReplyStream`."""
    stream = ReplyStream(engine, request, is_call=is_call)
    try:
        await stream.begun()
        yield stream
    finally:
        stream.cancel()


async def complete_reply(stream: ReplyStream) -> CompleteReply:
    """Wait for the end of a reply; raises APIError where it fails."""
    pieces: list[Piece] = []
    calls: list[Call] = []
    async for part in stream.parts():
        if isinstance(part, Call):
            calls.append(part)
        else:
            pieces.append(part)
    return CompleteReply(
        "".join(piece.content for piece in pieces),
        "".join(piece.reasoning for piece in pieces).strip(),
        tuple(calls),
        tuple(entry for piece in pieces for entry in piece.logprobs),
        stream.end,
    )


def new_id() -> str:
    """Return what no other reply or call is named."""
    return uuid.uuid4().hex


def _calls(calls: Sequence[Mapping[str, Any]]) -> list[Call]:
    """Return the calls of a reply, broken ones left out: a client would make them with arguments that the model never gave."""
    calls = [call for call in calls if "fault" not in call]
    return [
        Call(number, f"call_{new_id()}", str(call["function"]["name"]), str(call["function"]["arguments"]))
        for number, call in enumerate(calls)
    ]


def _written_call(text: str) -> list[Call]:
    """Return the call that a text is."""
    call = called(text)
    if call is None:
        return []
    return [Call(0, f"call_{new_id()}", str(call["name"]), json.dumps(call["arguments"], ensure_ascii=False))]
