"""What a family's chats need beyond a template: messages before it, replies after it. A GGUF file names its dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from models.chat import chatglm3, glm4
from models.chat.reply import ReplyText, ToolCall

KEY = "zhiyin.chat.dialect"
"""GGUF key: the dialect's name."""

Messages = Sequence[Mapping[str, Any]]


class ReplyFilter(Protocol):
    """Changes a reply's text while it streams."""

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        ...

    def finish(self) -> str:
        """Return the rest."""
        ...


@dataclass(frozen=True)
class Dialect:
    """One way of chatting."""

    reply: Callable[[], ReplyFilter]
    """Begins a reply."""
    tool_calls: Callable[[str, Messages], list[ToolCall]] | None = None
    """(reply, tools) -> the calls in it."""
    written: Callable[[str, Mapping[str, Any]], str] | None = None
    """(tool's name, arguments) -> the content of the assistant's turn that calls it; the name is its `metadata`."""


DIALECTS: Mapping[str, Dialect] = {
    "chatglm1": Dialect(partial(ReplyText, full_width=True)),
    "chatglm2": Dialect(ReplyText),
    "chatglm3": Dialect(ReplyText, chatglm3.tool_calls, chatglm3.written),
    "glm4": Dialect(ReplyText, glm4.tool_calls, glm4.written),
}


def prepared(messages: Messages, dialect: Dialect | None, template: str) -> Messages:
    """Return the messages with tool calls written as turns of the dialect, unless the template knows OpenAI's form itself."""
    if dialect is None or dialect.written is None or "tool_calls" in template:
        return messages
    result: list[Mapping[str, Any]] = []
    for message in messages:
        calls = message.get("tool_calls")
        if not isinstance(calls, (list, tuple)) or not calls:
            result.append(message)
            continue
        if message.get("content"):
            result.append({"role": message.get("role"), "content": message["content"]})
        for call in calls:
            name, arguments = _function(call)
            turn = {"role": "assistant", "metadata": name, "content": dialect.written(name, arguments)}
            result.append(turn)
    return result


def _function(call: Any) -> tuple[str, Mapping[str, Any]]:
    """Return name and arguments of a call in OpenAI's form, whose arguments are JSON in a text."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return "", {}
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = {}
    return str(function.get("name", "")), arguments if isinstance(arguments, Mapping) else {}
