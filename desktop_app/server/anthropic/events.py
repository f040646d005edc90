"""The blocks of a message, and the events that build them up while it streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from desktop_app.engine.results import Reply
from desktop_app.server.errors import APIError, anthropic_error
from desktop_app.server.replies import Call, CompleteReply, Part, Piece, ReplyStream, new_id
from desktop_app.server.serving import server_sent

_STOP = {
    "end": "end_turn",
    "stop": "stop_sequence",
    "length": "max_tokens",
    "full": "model_context_window_exceeded",
    "cancelled": "end_turn",
}


def stop_reason(reply: Reply, *, called: bool) -> str:
    """Return why a reply ended, in Anthropic's words."""
    if called:
        return "tool_use"
    return "end_turn" if reply.reason == "stop" and not reply.stop else _STOP[reply.reason]


def usage(reply: Reply) -> dict[str, int]:
    """Return the tokens of a reply; those of the prompt that were in the cache are told apart."""
    return {
        "input_tokens": reply.prompt_tokens - reply.reused_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.reused_tokens,
        "output_tokens": reply.tokens,
    }


def content_blocks(done: CompleteReply) -> list[dict[str, Any]]:
    """Return a reply's blocks."""
    thought = [{"type": "thinking", "thinking": done.reasoning, "signature": ""}] if done.reasoning else []
    text = [{"type": "text", "text": done.content}] if done.content or not done.calls else []
    calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.values} for call in done.calls]
    return [*thought, *text, *calls]


class MessageEvents:
    """Makes events of a reply."""

    def __init__(self, model: str) -> None:
        """Begin a message."""
        self._model = model
        self._open = ""
        """The type of the block that is being built; "": none is."""
        self._index = -1
        self._called = False

    async def of(self, stream: ReplyStream, on_end: Any) -> AsyncIterator[bytes]:
        """Yield the events; a failure becomes the last one."""
        yield _sent("message_start", message=self._message())
        yield _sent("ping")
        try:
            async for part in stream.parts():
                for event in self._events(part):
                    yield event
            reply = stream.end
            on_end([reply])
            if self._index < 0:
                for event in self._begin("text", {"type": "text", "text": ""}):
                    yield event
            for event in self._close():
                yield event
            reason = stop_reason(reply, called=self._called)
            delta = {"stop_reason": reason, "stop_sequence": reply.stop or None}
            yield _sent("message_delta", delta=delta, usage=usage(reply))
            yield _sent("message_stop")
        except APIError as error:
            yield server_sent(anthropic_error(error), "error")

    def _message(self) -> dict[str, Any]:
        return {
            "id": f"msg_{new_id()}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }

    def _events(self, part: Part) -> Iterator[bytes]:
        if isinstance(part, Call):
            yield from self._call(part)
            return
        yield from self._text(part)

    def _text(self, piece: Piece) -> Iterator[bytes]:
        if piece.reasoning:
            yield from self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": piece.reasoning})
        if piece.content:
            yield from self._begin("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": piece.content})

    def _call(self, call: Call) -> Iterator[bytes]:
        self._called = True
        yield from self._close()
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield from self._begin("tool_use", block)
        yield self._delta({"type": "input_json_delta", "partial_json": call.arguments})
        yield from self._close()

    def _begin(self, kind: str, block: dict[str, Any]) -> Iterator[bytes]:
        if self._open == kind:
            return
        yield from self._close()
        self._open = kind
        self._index += 1
        yield _sent("content_block_start", index=self._index, content_block=block)

    def _close(self) -> Iterator[bytes]:
        if self._open:
            self._open = ""
            yield _sent("content_block_stop", index=self._index)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _sent("content_block_delta", index=self._index, delta=delta)


def _sent(kind: str, **values: Any) -> bytes:
    return server_sent({"type": kind, **values}, kind)
