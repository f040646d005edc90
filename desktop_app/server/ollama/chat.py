"""Ollama's `/api/chat` and `/api/generate`: replies, streamed as lines of JSON unless the client wants them whole."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.engine.protocol import Complete, Generate
from desktop_app.engine.results import TokenLogprob
from desktop_app.server.asked import text_of, with_instructions
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError, ollama_error
from desktop_app.server.formats import answer_of
from desktop_app.server.model_pool import LoadedModel
from desktop_app.server.ollama.options import Options, keep_seconds, now, numbers, sampling
from desktop_app.server.openai.chat import logprob
from desktop_app.server.replies import Call, Piece, ReplyStream, complete_reply, replying
from desktop_app.server.serving import Streaming, exchange, json_line, json_response, services, unless_gone
from models.chat.efforts import EFFORTS

Say = Callable[[str, str, Sequence[Call], Sequence[TokenLogprob]], dict[str, Any]]
"""(content, reasoning, calls, log probabilities) -> what an answer of an endpoint says."""


class ChatRequest(Struct):
    """The body of a request for a chat's next reply."""

    model: str
    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    stream: bool | None = None
    think: bool | str | None = None
    keep_alive: str | float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class GenerateRequest(Struct):
    """The body of a request for a reply to one prompt."""

    model: str
    prompt: str = ""
    suffix: str = ""
    system: str = ""
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    stream: bool | None = None
    raw: bool | None = None
    think: bool | str | None = None
    keep_alive: str | float | None = None
    images: list[Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


async def chat(request: Request) -> Response:
    """Answer `POST /api/chat`."""
    asked = await read_json(request, ChatRequest)
    messages = tuple(_message(message, f"messages[{number}]") for number, message in enumerate(asked.messages))
    held = answer_of(asked.tools or (), None, _schema(asked.format))

    def generate(loaded: LoadedModel) -> Generate | None:
        return Generate(
            with_instructions(loaded.model, messages),
            sampling(loaded.model, asked.options, asked.logprobs, asked.top_logprobs),
            tools=held.tools,
            schema=held.schema,
            **_thinking(asked.think),
        )

    return await _answer(request, asked, generate if messages else None, _said_in_chat)


async def generate(request: Request) -> Response:
    """Answer `POST /api/generate`."""
    asked = await read_json(request, GenerateRequest)
    if asked.images or asked.suffix:
        raise APIError(400, "The models of this server take texts to go on with, no images and no suffix.")

    schema = _schema(asked.format)

    def generate(loaded: LoadedModel) -> Generate | Complete:
        chosen = sampling(loaded.model, asked.options, asked.logprobs, asked.top_logprobs)
        if asked.raw or not loaded.info.chat:
            return Complete(asked.prompt, chosen)
        system = [{"role": "system", "content": asked.system}] if asked.system else []
        messages = (*system, {"role": "user", "content": asked.prompt})
        return Generate(with_instructions(loaded.model, messages), chosen, schema=schema, **_thinking(asked.think))

    return await _answer(request, asked, generate if asked.prompt else None, _said_of_prompt)


async def _answer(
    request: Request,
    asked: ChatRequest | GenerateRequest,
    generate: Callable[[LoadedModel], Generate | Complete | None] | None,
    say: Say,
) -> Response:
    """Answer with a reply; without `generate` the model is only loaded, or unloaded where it is not to stay."""
    keep = keep_seconds(asked.keep_alive)
    noted = exchange(request)
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        if generate is None and keep == 0:
            await services(request).pool.unload(asked.model)
            return json_response(_frame(asked.model) | say("", "", (), ()) | {"done": True, "done_reason": "unload"})
        use = services(request).pool.use(asked.model, keep)
        loaded = await unless_gone(request, stack.enter_async_context(use))
        noted.model = loaded.model.label
        asking = None if generate is None else generate(loaded)
        if asking is None:
            return json_response(_frame(asked.model) | say("", "", (), ()) | {"done": True, "done_reason": "load"})
        load_seconds = time.perf_counter() - began
        stream = await unless_gone(request, stack.enter_async_context(replying(loaded.engine, asking)))
        if asked.stream is not False:
            lines = _lines(stream, asked, say, lambda: numbers(stream.end, load_seconds), noted.add)
            return Streaming(lines, stack.pop_all(), "application/x-ndjson")
        done = await unless_gone(request, complete_reply(stream))
        noted.add([done.reply])
        answer = say(done.content, done.reasoning, done.calls, done.logprobs)
        return json_response(_frame(asked.model) | answer | numbers(done.reply, load_seconds))


async def _lines(
    stream: ReplyStream,
    asked: ChatRequest | GenerateRequest,
    say: Say,
    end: Callable[[], dict[str, Any]],
    on_end: Any,
) -> AsyncIterator[bytes]:
    """Yield the answer in parts; a failure becomes the last one."""
    try:
        async for part in stream.parts():
            piece, calls = (part, ()) if isinstance(part, Piece) else (Piece(), (part,))
            line = say(piece.content, piece.reasoning, calls, piece.logprobs)
            yield json_line(_frame(asked.model) | line | {"done": False})
        numbers = end()
        on_end([stream.end])
        yield json_line(_frame(asked.model) | say("", "", (), ()) | numbers)
    except APIError as error:
        yield json_line(ollama_error(error))


def _frame(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": now()}


def _said_in_chat(
    content: str, reasoning: str, calls: Sequence[Call], logprobs: Sequence[TokenLogprob]
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        message["thinking"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "function": {"index": call.index, "name": call.name, "arguments": call.values}}
            for call in calls
        ]
    return {"message": message} | _reported(logprobs)


def _said_of_prompt(
    content: str, reasoning: str, calls: Sequence[Call], logprobs: Sequence[TokenLogprob]
) -> dict[str, Any]:
    return {"response": content} | ({"thinking": reasoning} if reasoning else {}) | _reported(logprobs)


def _reported(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"logprobs": [logprob(entry) for entry in logprobs]} if logprobs else {}


def _schema(given: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the schema that `format` asks for."""
    if given is None or given == "":
        return None
    if isinstance(given, str) and given != "json":
        raise APIError(400, f'invalid format "{given}"; expected "json" or a valid JSON Schema object')
    return {"type": "object"} if isinstance(given, str) else given


def _thinking(think: bool | str | None) -> dict[str, Any]:
    """Return whether and how long to think."""
    if isinstance(think, str):
        return {"thinking": True, "effort": think if think in EFFORTS else ""}
    return {"thinking": think}


def _message(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a message in the form that templates take."""
    role = message.get("role")
    if role not in {"system", "user", "assistant", "tool"}:
        raise APIError(400, f"invalid role {role!r} in {where}")
    if message.get("images"):
        raise APIError(400, "The models of this server read texts only, no images.")
    result: dict[str, Any] = {"role": role, "content": text_of(message.get("content"), f"{where}.content")}
    if isinstance(message.get("thinking"), str):
        result["reasoning_content"] = message["thinking"]
    name = message.get("tool_name") or message.get("name")
    if isinstance(name, str):
        result["name"] = name
    calls = message.get("tool_calls")
    if role == "assistant" and isinstance(calls, list) and calls:
        result["tool_calls"] = [_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)]
    return result


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise APIError(400, f"{where} names no function")
    arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
    return {
        "id": str(call.get("id", "")),
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
