"""What a family's chats need beyond a template: messages before it, replies after it. A GGUF file names its chat_format."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from models.chat import chatglm3, glm4, glm45, harmony
from models.chat.reply import ReplyText, ToolCall, called

KEY = "zhiyin.chat.dialect"
"""GGUF key: the chat_format's name."""

_TOKENS = re.compile(r"<\|\w+\|>")
_HARMONY = {"<|start|>", "<|channel|>", "<|message|>", "<|end|>"}

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
class ChatFormat:
    """One way of chatting."""

    reply: Callable[[], ReplyFilter] | None = None
    """Begins a reply; None: its text stays as it is."""
    tool_calls: Callable[[str, Messages], list[ToolCall]] | None = None
    """(reply, tools) -> the calls in it."""
    written: Callable[[str, Mapping[str, Any]], str] | None = None
    """(tool's name, arguments) -> the content of the assistant's turn that calls it; the name is its `metadata`."""
    turns: Callable[[Messages], Messages] | None = None
    """Brings messages to the form that the template of this chat_format wants."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Control tokens that get into a reply -> what stands for them in its text, which the filter sees; others never do."""


CHAT_FORMATS: Mapping[str, ChatFormat] = {
    "chatglm1": ChatFormat(partial(ReplyText, full_width=True)),
    "chatglm2": ChatFormat(ReplyText),
    "chatglm3": ChatFormat(ReplyText, chatglm3.tool_calls, chatglm3.written),
    "glm4": ChatFormat(ReplyText, glm4.tool_calls, glm4.written),
    "glm45": ChatFormat(tool_calls=glm45.tool_calls, turns=glm45.turns, marks=glm45.MARKS),
    "harmony": ChatFormat(harmony.HarmonyReply, harmony.tool_calls, turns=harmony.turns, marks=harmony.MARKS),
}


def name_of(metadata: Mapping[str, Any], template: str | None) -> str:
    """Return a file's chat_format: as it says itself, or as its template shows, which others' files have, too."""
    said = metadata.get(KEY)
    if isinstance(said, str) and said:
        return said
    if template is not None and set(_TOKENS.findall(template)) >= _HARMONY:
        return "harmony"
    return "glm45" if template is not None and glm45.is_written_by(template) else ""


def prepared(messages: Messages, chat_format: ChatFormat | None, template: str) -> Messages:
    """Return the messages with tool calls written as turns of the chat_format, unless the template knows OpenAI's form itself."""
    if chat_format is not None and chat_format.turns is not None:
        return chat_format.turns(messages)
    if chat_format is None or chat_format.written is None or "tool_calls" in template:
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
            made = called(call)
            content = chat_format.written(made.name, made.arguments)
            result.append({"role": "assistant", "metadata": made.name, "content": content})
    return result
