"""Post-processing of a reply's text, and the tool calls in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PLACEHOLDER, _FILLED = "[[训练时间]]", "2023年"
_FULL_WIDTH = dict(zip(",!:;?", "，！：；？", strict=True))


@dataclass(frozen=True)
class ToolCall:
    """One call that a model asks for."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""
    """What the model itself calls it; "": nothing."""
    fault: str = ""
    """Why it cannot be made, for the model to read; "": nothing is wrong with it."""

    def openai(self, number: int) -> dict[str, Any]:
        """Return it as OpenAI's API writes it, with a call's `fault` where it has one."""
        arguments = json.dumps(self.arguments, ensure_ascii=False, allow_nan=False)
        arguments = arguments.encode(
            "utf-8", "replace"
        ).decode()  # halves of a character, which JSON's escapes can write
        call = {
            "id": self.id or f"call{number:05d}",
            "type": "function",
        }  # Mistral's templates want nine letters and digits
        function = {"name": self.name, "arguments": arguments}
        return {**call, "function": function, **({"fault": self.fault} if self.fault else {})}


def called(call: Any) -> ToolCall:
    """Return a call in OpenAI's form, whose arguments are JSON in a text."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return ToolCall("", {})
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = {}
    return ToolCall(str(function.get("name", "")), arguments if isinstance(arguments, Mapping) else {})


def functions(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the functions of tools in OpenAI's form, or given alone."""
    declared = (tool.get("function", tool) for tool in tools)
    return [function for function in declared if isinstance(function, Mapping)]


def offered(tools: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of tools."""
    return {str(function.get("name")) for function in functions(tools)}


class ReplyText:
    """A reply as the publisher of ChatGLM shows it, while it streams.

    No space at the ends, the placeholder of the year of training filled in, and for the first generation, whose tokenizer knows
    no full-width punctuation, marks beside Chinese characters made full-width. Source: modeling_chatglm.py, `process_response`.
    """

    def __init__(self, *, full_width: bool = False) -> None:
        """Begin a reply."""
        self._full_width = full_width
        self._held = ""
        self._last = ""

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        self._held = (self._held + text).replace(_PLACEHOLDER, _FILLED)
        if not self._last:
            self._held = self._held.lstrip()
        return self._take(len(self._held) - self._open_end())

    def finish(self, *, cut: bool = False) -> str:
        """Return the rest."""
        self._held = self._held.rstrip()
        return self._take(len(self._held))

    def _open_end(self) -> int:
        """Return how many characters at the end depend on what comes next."""
        held = self._held
        count = len(held) - len(held.rstrip())
        if not count:
            count = next((n for n in range(len(_PLACEHOLDER) - 1, 0, -1) if held.endswith(_PLACEHOLDER[:n])), 0)
        if not count and self._full_width and held[-1:] in _FULL_WIDTH:
            count = 1
        return count

    def _take(self, count: int) -> str:
        ready = self._held[:count]
        if self._full_width:
            around = self._last + self._held
            start = len(self._last)
            ready = "".join(_widened(around, at) for at in range(start, start + count))
        self._held = self._held[count:]
        self._last = ready[-1:] or self._last
        return ready


def _widened(text: str, at: int) -> str:
    mark = text[at]
    if mark in _FULL_WIDTH and (_is_chinese(text[at - 1 : at]) or _is_chinese(text[at + 1 : at + 2])):
        return _FULL_WIDTH[mark]
    return mark


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"
