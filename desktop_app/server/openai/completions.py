"""`/v1/completions`: a text gone on with, whole or streamed. Source of names and shapes: OpenAI's API reference."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.engine.protocol import Complete
from desktop_app.engine.results import TokenLogprob
from desktop_app.server.asked import sampling_settings, stop_texts
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError, openai_error
from desktop_app.server.merging import merged
from desktop_app.server.model_pool import LoadedModel
from desktop_app.server.openai.chat import FINISH, Count, Penalty, Share, bias
from desktop_app.server.openai.usage import StreamOptions, usage
from desktop_app.server.replies import CompleteReply, Piece, ReplyStream, complete_reply, new_id, replying
from desktop_app.server.serving import Streaming, exchange, json_response, server_sent, services, unless_gone

_USUAL_TOKENS = 16
"""As OpenAI's `max_tokens` where it is left out."""
_MOST_PROMPTS = 64


class CompletionRequest(Struct, forbid_unknown_fields=True):
    """The body of a request."""

    model: str
    prompt: str | list[str] = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    user: Any = None


async def completions(request: Request) -> Response:
    """Answer `POST /v1/completions`."""
    asked = await read_json(request, CompletionRequest)
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    _check(asked, prompts)
    async with AsyncExitStack() as stack:
        loaded = await unless_gone(request, stack.enter_async_context(services(request).pool.use(asked.model)))
        noted = exchange(request)
        noted.model = loaded.model.label
        streams = [
            await unless_gone(request, stack.enter_async_context(replying(loaded.engine, one)))
            for one in _complete(asked, prompts, loaded)
        ]
        answer = _Answer(asked, prompts, loaded.model.label)
        if asked.stream:
            return Streaming(answer.chunks(streams, noted.add), stack.pop_all(), "text/event-stream")
        done = [await unless_gone(request, complete_reply(stream)) for stream in streams]
        noted.add([one.reply for one in done])
        return json_response(answer.body(done))


def _check(asked: CompletionRequest, prompts: Sequence[str]) -> None:
    if not prompts or len(prompts) > _MOST_PROMPTS or not all(prompts):
        message = f"Invalid value for 'prompt': it must be a text, or 1 to {_MOST_PROMPTS} texts."
        raise APIError(400, message, code="invalid_value", param="prompt")
    if asked.suffix:
        message = "'suffix' is not supported: these models go on at the end of a text."
        raise APIError(400, message, code="unsupported_parameter", param="suffix")
    if asked.best_of is not None and asked.best_of != (asked.n or 1):
        raise APIError(400, "'best_of' must equal 'n'.", code="unsupported_parameter", param="best_of")


def _complete(asked: CompletionRequest, prompts: Sequence[str], loaded: LoadedModel) -> list[Complete]:
    sampling = {
        "temperature": asked.temperature,
        "top_k": asked.top_k,
        "top_p": asked.top_p,
        "min_p": asked.min_p,
        "repeat_penalty": asked.repeat_penalty,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logit_bias": bias(asked.logit_bias),
        "logprobs": asked.logprobs,
        "max_tokens": _USUAL_TOKENS if asked.max_tokens is None else asked.max_tokens,
        "stop": stop_texts(asked.stop),
    }
    return [
        Complete(
            prompt,
            sampling_settings(loaded.model, seed=None if asked.seed is None else asked.seed + number, **sampling),
        )
        for prompt in prompts
        for number in range(asked.n or 1)
    ]


class _Answer:
    """One answer, in OpenAI's shape."""

    def __init__(self, asked: CompletionRequest, prompts: Sequence[str], model: str) -> None:
        self._asked = asked
        self._each = asked.n or 1
        self._prompts = prompts
        self._model = model
        self._id = f"cmpl-{new_id()}"
        self._created = int(time.time())

    def body(self, done: Sequence[CompleteReply]) -> dict[str, Any]:
        """Return the answer as a whole."""
        choices = [
            self._choice(number, self._echo(number) + one.content, one.logprobs, FINISH[one.reply.reason])
            for number, one in enumerate(done)
        ]
        return self._frame(choices) | {"usage": self._usage([one.reply for one in done])}

    async def chunks(self, streams: Sequence[ReplyStream], on_end: Any) -> AsyncIterator[bytes]:
        """Yield the answer in parts; a failure becomes the last one."""
        options = self._asked.stream_options
        with_usage = options is not None and options.include_usage
        extra: dict[str, Any] = {"usage": None} if with_usage else {}
        try:
            for number in range(len(streams) if self._asked.echo else 0):
                yield server_sent(self._frame([self._choice(number, self._echo(number), (), None)]) | extra)
            async for number, part in merged([stream.parts() for stream in streams]):
                if part is None:
                    choice = self._choice(number, "", (), FINISH[streams[number].end.reason])
                    yield server_sent(self._frame([choice]) | extra)
                elif isinstance(part, Piece):
                    yield server_sent(self._frame([self._choice(number, part.content, part.logprobs, None)]) | extra)
            replies = [stream.end for stream in streams]
            on_end(replies)
            if with_usage:
                yield server_sent(self._frame([]) | {"usage": self._usage(replies)})
            yield b"data: [DONE]\n\n"
        except APIError as error:
            yield server_sent(openai_error(error))

    def _usage(self, replies: Sequence[Any]) -> dict[str, Any]:
        counted = usage(replies)
        counted["prompt_tokens"] = sum(reply.prompt_tokens for reply in replies[:: self._each])
        counted["total_tokens"] = counted["prompt_tokens"] + counted["completion_tokens"]
        return counted

    def _echo(self, number: int) -> str:
        return self._prompts[number // self._each] if self._asked.echo else ""

    def _choice(self, number: int, text: str, entries: Sequence[TokenLogprob], reason: str | None) -> dict[str, Any]:
        logprobs = None if self._asked.logprobs is None else _logprobs(entries)
        return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": reason}

    def _frame(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }


def _logprobs(entries: Sequence[TokenLogprob]) -> dict[str, Any]:
    offsets, at = [], 0
    for entry in entries:
        offsets.append(at)
        at += len(entry.text)
    return {
        "tokens": [entry.text for entry in entries],
        "token_logprobs": [entry.logprob for entry in entries],
        "top_logprobs": [{other.text: other.logprob for other in entry.top} for entry in entries],
        "text_offset": offsets,
    }
