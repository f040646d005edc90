"""`/v1/responses`: OpenAI's newer protocol. Nothing is stored here: each request holds its whole conversation.

Source of names, shapes and the order of events: OpenAI's API reference.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.engine.protocol import Generate
from desktop_app.engine.results import Reply
from desktop_app.server.asked import needs_message, sampling_settings, text_of, with_instructions
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError
from desktop_app.server.formats import Answer, answer_of, schema_of
from desktop_app.server.model_pool import LoadedModel
from desktop_app.server.openai.chat import Count, Share
from desktop_app.server.openai.messages import template_messages
from desktop_app.server.openai.response_events import ResponseEvents, message_item, reasoning_item, tool_item
from desktop_app.server.replies import ReplyStream, complete_reply, new_id, replying
from desktop_app.server.serving import Streaming, exchange, json_response, server_sent, services, unless_gone
from models.chat.efforts import EFFORTS

_TEXTS = frozenset({"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"})


class Reasoning(Struct):
    """How long to think."""

    effort: str | None = None
    summary: Any = None


class ResponsesRequest(Struct, forbid_unknown_fields=True):
    """The body of a request."""

    model: str
    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    max_output_tokens: Count | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    reasoning: Reasoning | None = None
    text: dict[str, Any] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    # What changes nothing here: where OpenAI's service would store, bill or route by it.
    access_programs: Any = None
    background: bool | None = None
    background_options: Any = None
    context_management: Any = None
    image: Any = None
    include: Any = None
    max_tool_calls: Any = None
    metadata: Any = None
    moderation: Any = None
    parallel_tool_calls: bool | None = None
    prompt: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    service_tier: Any = None
    store: Any = None
    stream_options: Any = None
    top_logprobs: Any = None
    truncation: Any = None
    user: Any = None


async def responses(request: Request) -> Response:
    """Answer `POST /v1/responses`."""
    asked = await read_json(request, ResponsesRequest)
    _refuse_unsupported(asked)
    messages = template_messages(_messages(asked))
    needs_message(list(messages), "input")
    schema = schema_of((asked.text or {}).get("format"), "text.format")
    held = answer_of([_tool(tool) for tool in asked.tools or ()], asked.tool_choice, schema)
    async with AsyncExitStack() as stack:
        loaded = await unless_gone(request, stack.enter_async_context(services(request).pool.use(asked.model)))
        noted = exchange(request)
        noted.model = loaded.model.label
        made = replying(loaded.engine, _generate(asked, held, messages, loaded), is_call=held.is_call)
        stream = await unless_gone(request, stack.enter_async_context(made))
        answer = _Answer(asked, loaded.model.label)
        if asked.stream:
            return Streaming(answer.events(stream, noted.add), stack.pop_all(), "text/event-stream")
        done = await unless_gone(request, complete_reply(stream))
        noted.add([done.reply])
        items = [reasoning_item(done.reasoning)] if done.reasoning else []
        items += [message_item(done.content)] if done.content or not done.calls else []
        return json_response(answer.body([*items, *map(tool_item, done.calls)], done.reply))


def _refuse_unsupported(asked: ResponsesRequest) -> None:
    if asked.previous_response_id is not None:
        message = f"Previous response with id '{asked.previous_response_id}' not found: nothing is stored here."
        raise APIError(400, message, code="previous_response_not_found", param="previous_response_id")
    for name in ("conversation", "background", "prompt"):
        if getattr(asked, name):
            raise APIError(400, f"'{name}' is not supported.", code="unsupported_parameter", param=name)


def _messages(asked: ResponsesRequest) -> list[dict[str, Any]]:
    """Return the conversation as messages of chat completions."""
    messages: list[dict[str, Any]] = []
    if asked.instructions:
        messages.append({"role": "system", "content": asked.instructions})
    if isinstance(asked.input, str):
        return [*messages, {"role": "user", "content": asked.input}] if asked.input else messages
    for number, item in enumerate(asked.input):
        message = _message(item, f"input[{number}]")
        both = bool(messages) and messages[-1]["role"] == "assistant" == message.get("role")
        if both and ("tool_calls" in message or "tool_calls" not in messages[-1]):
            _join(messages[-1], message)
        elif message:
            messages.append(message)
    return messages


def _join(first: dict[str, Any], second: Mapping[str, Any]) -> None:
    """Put what an assistant said, thought and called one after the other into one message."""
    first["content"] = first["content"] + second["content"]
    for key in ("tool_calls", "reasoning_content"):
        if key in second:
            first[key] = first[key] + second[key] if key in first else second[key]


def _message(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = item.get("type", "message")
    if kind == "message":
        return {"role": item.get("role"), "content": text_of(item.get("content"), f"{where}.content", _TEXTS)}
    if kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        call = {"id": item.get("call_id", ""), "type": "function", "function": function}
        return {"role": "assistant", "content": "", "tool_calls": [call]}
    if kind == "function_call_output":
        text = text_of(item.get("output"), f"{where}.output", _TEXTS)
        return {"role": "tool", "content": text, "tool_call_id": str(item.get("call_id", ""))}
    if kind == "reasoning":
        text = text_of(item.get("content") or item.get("summary"), f"{where}.content", _TEXTS)
        return {"role": "assistant", "content": "", "reasoning_content": text} if text else {}
    raise APIError(400, f"Invalid value for '{where}.type': {kind!r} is not supported.", param=f"{where}.type")


def _generate(
    asked: ResponsesRequest, held: Answer, messages: tuple[dict[str, Any], ...], loaded: LoadedModel
) -> Generate:
    effort = asked.reasoning.effort if asked.reasoning is not None else None
    sampling = sampling_settings(
        loaded.model, temperature=asked.temperature, top_p=asked.top_p, max_tokens=asked.max_output_tokens
    )
    return Generate(
        with_instructions(loaded.model, messages),
        sampling,
        tools=held.tools,
        schema=held.schema,
        thinking=False if effort == "none" else None,
        effort=effort if effort in EFFORTS else "",
    )


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool as chat completions write it."""
    if tool.get("type") != "function":
        message = f"Invalid value for 'tools': {tool.get('type')!r} is not supported, only functions are."
        raise APIError(400, message, code="unsupported_parameter", param="tools")
    function = {key: tool[key] for key in ("name", "description", "parameters", "strict") if key in tool}
    return {"type": "function", "function": function}


class _Answer:
    """One answer, in OpenAI's shape."""

    def __init__(self, asked: ResponsesRequest, model: str) -> None:
        self._asked = asked
        self._model = model
        self._id = f"resp_{new_id()}"
        self._created = time.time()

    def body(self, items: Sequence[dict[str, Any]], reply: Reply | None) -> dict[str, Any]:
        """Return the response; None: it is under way."""
        short = reply is not None and reply.reason in {"length", "full"}
        status = "in_progress" if reply is None else "incomplete" if short else "completed"
        asked = self._asked
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if short else None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "model": self._model,
            "output": list(items),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": asked.reasoning.effort if asked.reasoning else None, "summary": None},
            "store": False,
            "temperature": asked.temperature,
            "text": asked.text or {"format": {"type": "text"}},
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "top_p": asked.top_p,
            "truncation": "disabled",
            "usage": None if reply is None else _usage(reply),
            "metadata": asked.metadata or {},
        }

    async def events(self, stream: ReplyStream, on_end: Any) -> AsyncIterator[bytes]:
        """Yield the answer as events; a failure becomes the last one."""
        events = ResponseEvents()
        for kind in ("response.created", "response.in_progress"):
            yield self._sent(events.numbered({"type": kind, "response": self.body([], None)}))
        try:
            async for part in stream.parts():
                for event in events.of(part):
                    yield self._sent(event)
            reply = stream.end
            on_end([reply])
            for event in events.close(needs_item=True):
                yield self._sent(event)
            body = self.body(events.items, reply)
            yield self._sent(events.numbered({"type": f"response.{body['status']}", "response": body}))
        except APIError as error:
            body = self.body(events.items, None)
            body |= {"status": "failed", "error": {"code": error.code or "server_error", "message": error.message}}
            yield self._sent(events.numbered({"type": "response.failed", "response": body}))

    def _sent(self, event: dict[str, Any]) -> bytes:
        return server_sent(event, event["type"])


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": reply.reused_tokens},
        "output_tokens": reply.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.prompt_tokens + reply.tokens,
    }
