"""A reply in OpenAI's protocol, made into the engine's: text with its thoughts in marks, calls of tools, how it ended.

Servers differ: thoughts come as `reasoning_content` (llama-server, DashScope, SGLang), as `reasoning` (vLLM, Ollama), or inside
the text, where they have their marks already.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from desktop_app.engine.results import Reply
from desktop_app.remote.failures import said_in_stream

_OPEN, _CLOSE = "<think>\n", "\n</think>\n\n"
_REASONS = {"length": "length", "max_tokens": "length"}
_MOST_CALLS = 128


class ReplyBuilder:
    """One reply, from its events."""

    def __init__(self, place: str) -> None:
        """Begin; `place` is named in sentences."""
        self._place = place
        self._begun = time.monotonic()
        self._first = 0.0
        self._parts: list[str] = []
        self._thinking = False
        self._calls: dict[int, dict[str, str]] = {}
        self._reason = "end"
        self._usage: Mapping[str, Any] = {}
        self._pieces = 0

    def feed(self, event: Mapping[str, Any]) -> str:
        """Take an event; return the text that it adds.

        Raises:
            ZhiyinError: it reports a failure.
        """
        if event.get("error"):
            raise said_in_stream(self._place, event["error"])
        if isinstance(event.get("usage"), Mapping):
            self._usage = event["usage"]
        choice = _first(event.get("choices"))
        if isinstance(choice.get("finish_reason"), str):
            self._reason = _REASONS.get(choice["finish_reason"], "end")
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        return self._add(delta, _text(choice.get("text")))

    def _add(self, delta: Mapping[str, Any], plain: str) -> str:
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        answer = _text(delta.get("content")) or plain
        self._take_calls(delta.get("tool_calls"))
        added = ""
        if thought:
            added += thought if self._thinking else f"{_OPEN}{thought}"
            self._thinking = True
        if answer:
            added += self._end_of_thought() + answer
        if added or self._calls:
            self._first = self._first or time.monotonic()
        self._pieces += bool(added)
        self._parts.append(added)
        return added

    def _end_of_thought(self) -> str:
        if not self._thinking:
            return ""
        self._thinking = False
        return _CLOSE

    def _take_calls(self, deltas: Any) -> None:
        for place, delta in enumerate(deltas if isinstance(deltas, list) else ()):
            index = delta.get("index") if isinstance(delta, Mapping) else None
            number = index if isinstance(index, int) else place
            if not isinstance(delta, Mapping) or not 0 <= number < _MOST_CALLS:
                continue
            function = _mapping(delta.get("function"))
            call = self._calls.setdefault(number, {"name": "", "arguments": ""})
            call["name"] += _text(function.get("name"))
            arguments = function.get("arguments")
            call["arguments"] += json.dumps(arguments) if isinstance(arguments, Mapping) else _text(arguments)

    def end(self, begun: str = "", *, cancelled: bool = False) -> tuple[str, Reply]:
        """Return the text that is still to be added, and the reply.

        Args:
            begun: its beginning, where it goes on from one.
            cancelled: it was stopped.
        """
        rest = self._end_of_thought()
        now = time.monotonic()
        first = self._first or now
        details = _mapping(self._usage.get("prompt_tokens_details"))
        reply = Reply(
            begun + "".join(self._parts) + rest,
            "cancelled" if cancelled else self._reason,
            _count(self._usage.get("prompt_tokens")),
            _count(details.get("cached_tokens")),
            _count(self._usage.get("completion_tokens")) or self._pieces,
            first - self._begun,
            now - first,
            tool_calls=tuple(_call(number, call) for number, call in sorted(self._calls.items())),
        )
        return rest, reply


def _call(number: int, call: Mapping[str, str]) -> dict[str, Any]:
    """Return a call as OpenAI's API writes it; arguments that are no object are a fault that the model is told of."""
    arguments, fault = call["arguments"] or "{}", {}
    if not _is_object(arguments):
        arguments, fault = "{}", {"fault": "The arguments of the call are no JSON object."}
    function = {"name": call["name"], "arguments": arguments}
    return {"id": f"call{number:05d}", "type": "function", "function": function, **fault}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _first(choices: Any) -> Mapping[str, Any]:
    return _mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0
