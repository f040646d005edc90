"""`/v1/chat/completions`: a chat's next reply, whole or streamed.

Source of names and shapes: OpenAI's API reference. `reasoning_content` and the further sampling settings are those of
llama-server and vLLM, which other programs know too.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.engine.protocol import Generate
from desktop_app.engine.results import TokenLogprob
from desktop_app.server.asked import needs_message, sampling_settings, stop_texts, with_instructions
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError, openai_error
from desktop_app.server.formats import Answer, answer_of, schema_of
from desktop_app.server.merging import merged
from desktop_app.server.model_pool import LoadedModel
from desktop_app.server.openai.messages import template_messages
from desktop_app.server.openai.usage import StreamOptions, usage
from desktop_app.server.replies import Call, CompleteReply, Part, Piece, ReplyStream, complete_reply, new_id, replying
from desktop_app.server.serving import Streaming, exchange, json_response, server_sent, services, unless_gone
from models.chat.efforts import EFFORTS

FINISH = {"end": "stop", "stop": "stop", "length": "length", "full": "length", "cancelled": "stop"}
"""Why a reply ended, in OpenAI's words."""
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=1 << 31)]


class Template(Struct):
    """`chat_template_kwargs`, of which templates know more."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class ChatRequest(Struct, forbid_unknown_fields=True):
    """The body of a request."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: Template | None = None
    # What changes nothing here: where OpenAI's service would store, bill or route by it.
    audio: Any = None
    metadata: Any = None
    modalities: Any = None
    moderation: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    service_tier: Any = None
    store: Any = None
    user: Any = None
    verbosity: Any = None
    web_search_options: Any = None
    cache_prompt: Any = None
    keep_alive: Any = None
    functions: Any = None
    function_call: Any = None


async def chat_completions(request: Request) -> Response:
    """Answer `POST /v1/chat/completions`."""
    asked = await read_json(request, ChatRequest)
    needs_message(asked.messages)
    _refuse_unsupported(asked)
    schema = schema_of(asked.response_format, "response_format")
    held = answer_of(asked.tools or (), asked.tool_choice, schema)
    async with AsyncExitStack() as stack:
        use = services(request).pool.use(asked.model)
        loaded = await unless_gone(request, stack.enter_async_context(use))
        noted = exchange(request)
        noted.model = loaded.model.label
        made = [
            replying(loaded.engine, _generate(asked, held, loaded, n), is_call=held.is_call)
            for n in range(asked.n or 1)
        ]
        streams = [await unless_gone(request, stack.enter_async_context(one)) for one in made]
        answer = _Answer(asked, loaded.model.label)
        if asked.stream:
            chunks = answer.chunks(streams, noted.add)
            return Streaming(chunks, stack.pop_all(), "text/event-stream")
        done = [await unless_gone(request, complete_reply(stream)) for stream in streams]
        noted.add([one.reply for one in done])
        return json_response(answer.body(done))


def _refuse_unsupported(asked: ChatRequest) -> None:
    for name in ("functions", "function_call"):
        if getattr(asked, name) is not None:
            raise APIError(400, f"'{name}' is the old name; use 'tools'.", code="unsupported_parameter", param=name)
    if asked.audio is not None or (asked.modalities or ["text"]) != ["text"]:
        raise APIError(400, "This server writes texts only.", code="unsupported_parameter", param="modalities")
    if asked.top_logprobs and not asked.logprobs:
        raise APIError(400, "'top_logprobs' needs 'logprobs' to be true.", code="invalid_value", param="top_logprobs")


def _generate(asked: ChatRequest, held: Answer, loaded: LoadedModel, number: int) -> Generate:
    """Return what the engine is asked for the choice of a number."""
    most = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    template = asked.chat_template_kwargs or Template()
    thinking = template.thinking if template.enable_thinking is None else template.enable_thinking
    if asked.reasoning_effort == "none":
        thinking = False
    sampling = sampling_settings(
        loaded.model,
        temperature=asked.temperature,
        top_k=asked.top_k,
        top_p=asked.top_p,
        min_p=asked.min_p,
        repeat_penalty=asked.repetition_penalty if asked.repeat_penalty is None else asked.repeat_penalty,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logit_bias=bias(asked.logit_bias),
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        max_tokens=most,
        seed=None if asked.seed is None else asked.seed + number,
        stop=stop_texts(asked.stop),
    )
    return Generate(
        with_instructions(loaded.model, template_messages(asked.messages)),
        sampling,
        tools=held.tools,
        schema=held.schema,
        thinking=thinking,
        effort=asked.reasoning_effort if asked.reasoning_effort in EFFORTS else "",
    )


def bias(biases: dict[str, float] | None) -> tuple[tuple[int, float], ...] | None:
    """Return what is added to the logits of tokens; raises APIError where one is no token id."""
    if biases is None:
        return None
    wrong = next((token for token in biases if not token.isdecimal()), None)
    if wrong is not None:
        raise APIError(
            400, f"'logit_bias' has {wrong!r}, which is no token id.", code="invalid_value", param="logit_bias"
        )
    return tuple((int(token), value) for token, value in biases.items())


@dataclass
class _Choice:
    """A choice while it streams."""

    index: int
    begun: bool = False
    calls: int = 0


class _Answer:
    """One answer, in OpenAI's shape."""

    def __init__(self, asked: ChatRequest, model: str) -> None:
        self._asked = asked
        self._model = model
        self._id = f"chatcmpl-{new_id()}"
        self._created = int(time.time())

    def body(self, done: Sequence[CompleteReply]) -> dict[str, Any]:
        """Return the answer as a whole."""
        choices = [self._whole_choice(number, one) for number, one in enumerate(done)]
        return self._frame("chat.completion", choices) | {"usage": usage([one.reply for one in done])}

    async def chunks(self, streams: Sequence[ReplyStream], on_end: Any) -> AsyncIterator[bytes]:
        """Yield the answer in parts; a failure becomes the last one."""
        choices = [_Choice(number) for number in range(len(streams))]
        options = self._asked.stream_options
        with_usage = options is not None and options.include_usage
        extra: dict[str, Any] = {"usage": None} if with_usage else {}
        try:
            async for number, part in merged([stream.parts() for stream in streams]):
                for delta, logprobs in self._deltas(choices[number], part):
                    yield server_sent(self._chunk([_delta(number, delta, self._logprobs(logprobs))]) | extra)
                if part is None:
                    reason = "tool_calls" if choices[number].calls else FINISH[streams[number].end.reason]
                    yield server_sent(self._chunk([_delta(number, {}, None, reason)]) | extra)
            replies = [stream.end for stream in streams]
            on_end(replies)
            if with_usage:
                yield server_sent(self._chunk([]) | {"usage": usage(replies)})
            yield b"data: [DONE]\n\n"
        except APIError as error:
            yield server_sent(openai_error(error))

    def _deltas(self, choice: _Choice, part: Part | None) -> list[tuple[dict[str, Any], tuple[TokenLogprob, ...]]]:
        deltas: list[tuple[dict[str, Any], tuple[TokenLogprob, ...]]] = []
        if not choice.begun:
            choice.begun = True
            deltas.append(({"role": "assistant", "content": ""}, ()))
        if isinstance(part, Piece):
            if part.reasoning:
                deltas.append(({"reasoning_content": part.reasoning}, () if part.content else part.logprobs))
            if part.content or (part.logprobs and not part.reasoning):
                deltas.append(({"content": part.content}, part.logprobs))
        elif isinstance(part, Call):
            choice.calls += 1
            deltas.append(({"tool_calls": [{"index": part.index, **tool_call(part)}]}, ()))
        return deltas

    def _whole_choice(self, number: int, one: CompleteReply) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": one.content or None, "refusal": None}
        if one.reasoning:
            message["reasoning_content"] = one.reasoning
        if one.calls:
            message["tool_calls"] = [tool_call(call) for call in one.calls]
        else:
            message["content"] = one.content
        reason = "tool_calls" if one.calls else FINISH[one.reply.reason]
        logprobs = self._logprobs(one.logprobs)
        return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": reason}

    def _logprobs(self, entries: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        if not self._asked.logprobs:
            return None
        return {"content": [logprob(entry) for entry in entries], "refusal": None}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._frame("chat.completion.chunk", choices)

    def _frame(self, kind: Literal["chat.completion", "chat.completion.chunk"], choices: list[Any]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": None,
            "choices": choices,
        }


def tool_call(call: Call) -> dict[str, Any]:
    """Return a call as a message of an assistant has it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprob(entry: TokenLogprob) -> dict[str, Any]:
    """Return a token's log probability with its alternatives."""
    top = [{"token": other.text, "logprob": other.logprob, "bytes": other.bytes} for other in entry.top]
    return {"token": entry.text, "logprob": entry.logprob, "bytes": entry.bytes, "top_logprobs": top}


def _delta(
    number: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, reason: str | None = None
) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
