"""Shared by requests of Ollama's protocol: options, keep-alive, the counts in an answer.

Source of names and shapes: Ollama's API reference (docs/api.md) and its Modelfile's parameters. Unknown fields are passed over,
as Ollama does.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Annotated, Any

from msgspec import Meta, Struct

from desktop_app.engine.protocol import SamplingSettings
from desktop_app.engine.results import Reply
from desktop_app.library.installed_model import InstalledModel
from desktop_app.server.asked import sampling_settings, stop_texts
from desktop_app.server.errors import APIError

_DURATION = re.compile(
    r"(?:(?P<hours>\d+(?:\.\d+)?)h)?(?:(?P<minutes>\d+(?:\.\d+)?)m)?(?:(?P<seconds>\d+(?:\.\d+)?)s)?"
)
_DONE = {"end": "stop", "stop": "stop", "length": "length", "full": "length", "cancelled": "stop"}


class Options(Struct):
    """How tokens are chosen."""

    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: str | list[str] | None = None


class Logprobs(Struct):
    """The option of log probabilities."""

    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


def sampling(
    model: InstalledModel, options: Options | None, logprobs: bool | None, top: int | None
) -> SamplingSettings:
    """Return how tokens are chosen."""
    asked = options or Options()
    return sampling_settings(
        model,
        temperature=asked.temperature,
        top_k=asked.top_k,
        top_p=asked.top_p,
        min_p=asked.min_p,
        repeat_penalty=asked.repeat_penalty,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        seed=asked.seed,
        max_tokens=None if asked.num_predict is None else max(0, asked.num_predict),
        stop=stop_texts(asked.stop),
        logprobs=(top or 0) if logprobs else None,
    )


def keep_seconds(keep_alive: str | float | None) -> float | None:
    """Return how long a model stays after a request: seconds, or a text such as 5m; negative: for ever; None: as usual.

    Raises:
        APIError: it is neither.
    """
    if keep_alive is None:
        return None
    if isinstance(keep_alive, str):
        sign, text = (-1, keep_alive[1:]) if keep_alive.startswith("-") else (1, keep_alive)
        match = _DURATION.fullmatch(text)
        if re.fullmatch(r"\d+(?:\.\d+)?", text):
            keep_alive = sign * float(text)
        elif text and match:
            hours, minutes, seconds = (float(part or 0) for part in match.groups())
            keep_alive = sign * (3600 * hours + 60 * minutes + seconds)
        else:
            raise APIError(400, f'time: invalid duration "{keep_alive}"')
    return math.inf if keep_alive < 0 else float(keep_alive)


def now() -> str:
    """Return the time as Ollama writes it."""
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def numbers(reply: Reply, load_seconds: float) -> dict[str, Any]:
    """Return how a reply ended and what it took; durations in nanoseconds."""
    total = load_seconds + reply.prompt_seconds + reply.seconds
    return {
        "done": True,
        "done_reason": _DONE[reply.reason],
        "total_duration": round(total * 1e9),
        "load_duration": round(load_seconds * 1e9),
        "prompt_eval_count": reply.prompt_tokens,
        "prompt_eval_duration": round(reply.prompt_seconds * 1e9),
        "eval_count": reply.tokens,
        "eval_duration": round(reply.seconds * 1e9),
    }
