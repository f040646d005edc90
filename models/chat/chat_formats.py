"""Chat formats: processing of messages before the template, and of replies after it. A GGUF file names its chat format."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from models.chat import chatglm3, glm4, glm45, harmony
from models.chat.begun import Written, as_reply, between_marks
from models.chat.calls import deepseek, generic, internlm2, json_calls, minicpm, mistral, qwen_xml, unmarked_json
from models.chat.calls.notation import CallNotation
from models.chat.calls.scanner import CallScanner
from models.chat.reply import ReplyText, ToolCall, called
from models.chat.template_facts import template_facts

KEY = "zhiyin.chat.dialect"
"""GGUF key: the chat format's name."""

_TOKENS = re.compile(r"<\|\w+\|>")
_HARMONY = {"<|start|>", "<|channel|>", "<|message|>", "<|end|>"}
_BY_TEMPLATE: Sequence[tuple[str, tuple[str, ...]]] = (
    ("glm45", ("<tool_call>", "<arg_key>")),
    ("qwen_xml", ("<function=", "<parameter=")),
    ("deepseek_v3", ("<｜tool▁calls▁begin｜>", "```json")),
    ("deepseek", ("<｜tool▁calls▁begin｜>",)),
    ("mistral", ("[TOOL_CALLS]",)),
    ("minicpm3", ("<|tool_call_start|>",)),
    ("minicpm3", ("<|tool_list_start|>",)),
    ("minicpm5", ("<function name=", "<param name=")),
    ("llama3", ("<|python_tag|>",)),
    ("llama3", ("ipython", '"parameters"')),
    ("phi4_mini", ("<|tool|>", "<|/tool|>")),
    ("granite", ("<|tool_call|>",)),
    ("hunyuan", ("<tool_calls>",)),
    ("nemotron", ("<TOOLCALL>",)),
    ("hermes", ("<tool_call>",)),
    ("json", ("Return only a JSON function call",)),
)
"""Chat format -> texts of a template that writes calls so; the first that has all of them is it."""

Messages = Sequence[Mapping[str, Any]]


class ReplyFilter(Protocol):
    """Changes a reply's text while it streams."""

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        ...

    def finish(self, *, cut: bool = False) -> str:
        """Return the rest; `cut`: the model did not end here."""
        ...


@dataclass(frozen=True)
class ChatFormat:
    """One way of chatting."""

    reply: Callable[[], ReplyFilter] | None = None
    """Begins a reply; None: its text stays as it is."""
    notation: CallNotation | None = None
    """How its models write tool calls; None: they know none."""
    reply_with_calls: Callable[[], ReplyFilter] | None = None
    """Begins a reply to a chat with tools, where that differs."""
    written: Callable[[str, Mapping[str, Any]], str] | None = None
    """(tool's name, arguments) -> the content of the assistant's turn that calls it; the name is its `metadata`."""
    turns: Callable[[Messages], Messages] | None = None
    """Brings messages to the form that the template of this chat_format wants."""
    with_tools: Callable[[Messages, Messages], Messages] | None = None
    """(messages, tools) -> messages that tell of the tools, where the template itself does not."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Control tokens that get into a reply -> what stands for them in its text, which the filter sees; others never do."""
    begun: Callable[[str], Sequence[Written]] | None = None
    """The text of a reply that was cut off -> what the model wrote; None: its thought stands between two marks."""


def _calling(notation: CallNotation, **more: Any) -> ChatFormat:
    """Return a chat format of which only the calls are known; the template says the rest."""
    return ChatFormat(
        notation=notation, marks={**{mark: mark for mark in notation.marks}, **more.pop("marks", {})}, **more
    )


CHAT_FORMATS: Mapping[str, ChatFormat] = {
    "chatglm1": ChatFormat(partial(ReplyText, full_width=True)),
    "chatglm2": ChatFormat(ReplyText),
    "chatglm3": ChatFormat(ReplyText, chatglm3.NOTATION, written=chatglm3.written),
    "glm4": ChatFormat(ReplyText, glm4.NOTATION, written=glm4.written),
    "glm45": _calling(glm45.NOTATION, turns=glm45.turns),
    "harmony": ChatFormat(
        harmony.HarmonyReply,
        harmony.NOTATION,
        partial(harmony.HarmonyReply, harmony.CALL_MARK),
        turns=harmony.turns,
        marks=harmony.MARKS,
        begun=harmony.begun,
    ),
    "deepseek": _calling(deepseek.DEEPSEEK, with_tools=deepseek.with_tools),
    "deepseek_v3": _calling(deepseek.DEEPSEEK, with_tools=deepseek.with_tools_v3),
    "granite": _calling(json_calls.GRANITE),
    "hermes": _calling(json_calls.HERMES),
    "hunyuan": _calling(json_calls.HUNYUAN),
    "internlm2": _calling(internlm2.INTERNLM2, with_tools=internlm2.with_tools),
    "json": _calling(unmarked_json.GENERIC),
    "llama3": _calling(unmarked_json.LLAMA3),
    "minicpm3": _calling(minicpm.MINICPM_PYTHON, marks=minicpm.REASONING),
    "minicpm5": _calling(minicpm.MINICPM_XML),
    "mistral": _calling(mistral.MISTRAL, marks=mistral.REASONING),
    "nemotron": _calling(json_calls.NEMOTRON),
    "phi4_mini": _calling(json_calls.PHI4_MINI, with_tools=json_calls.phi4_messages),
    "qwen_xml": _calling(qwen_xml.QWEN_XML),
}


def name_of(metadata: Mapping[str, Any], template: str | None) -> str:
    """Return a file's chat_format: as it says itself, or as its template shows, which others' files have, too."""
    stated = metadata.get(KEY)
    if isinstance(stated, str) and stated:
        return stated
    if template is None:
        return ""
    if set(_TOKENS.findall(template)) >= _HARMONY:
        return "harmony"
    if metadata.get("general.architecture") == "internlm2" and "<|im_start|>" in template:
        return "internlm2"
    return next((name for name, texts in _BY_TEMPLATE if all(text in template for text in texts)), "")


def calls_natively(chat_format: ChatFormat | None, template: str | None) -> bool:
    """Tell whether a model's own way of calling tools is known, both to its template and to us; else calls are JSON."""
    if chat_format is None or chat_format.notation is None or template is None:
        return False
    return chat_format.with_tools is not None or template_facts(template).tools


def tell_of_tools(
    messages: Messages, tools: Messages, chat_format: ChatFormat | None, template: str
) -> tuple[Messages, Messages]:
    """Return a chat's messages and the tools that its template is given: messages tell of those that it cannot."""
    has_turns = bool(tools) or any(message.get("role") == "tool" or message.get("tool_calls") for message in messages)
    if not has_turns:
        return messages, ()
    if not calls_natively(chat_format, template):
        return generic.with_tools(messages, tools), ()
    if chat_format is not None and chat_format.with_tools is not None and not template_facts(template).tools:
        return chat_format.with_tools(messages, tools), ()
    return messages, tools


def begun_parts(chat_format: ChatFormat | None, text: str) -> Sequence[Written]:
    """Return what a model wrote of a reply that was cut off."""
    if chat_format is not None and chat_format.begun is not None:
        return chat_format.begun(text)
    return between_marks(text, {} if chat_format is None else chat_format.marks)


class ReplyReader:
    """Splits a reply into displayed text and tool calls."""

    def __init__(self, chat_format: ChatFormat | None, template: str | None, tools: Messages, begun: str = "") -> None:
        """Begin a reply.

        Args:
            chat_format: the model's; None: its text stays as it is.
            template: the model's, which says whether tools are called in its own way.
            tools: those that were offered; without any, nothing is taken for a call.
            begun: the reply's text so far, which is not shown again: what was cut off, or the mark of a thought that the
                prompt has written.
        """
        native = calls_natively(chat_format, template)
        chat_format = chat_format or ChatFormat()
        begin = (chat_format.reply_with_calls if tools and native else None) or chat_format.reply
        notation = (chat_format.notation if native else None) or unmarked_json.GENERIC
        self._scanner = CallScanner(notation, tools) if tools else None
        self._filters: list[ReplyFilter] = [] if begin is None else [begin()]
        self._filters += [] if self._scanner is None else [self._scanner]
        told = self._through(as_reply(begun_parts(chat_format, begun), chat_format.marks)) if begun else ""
        self._told = begun[len(told) :] if begun.startswith(told) else ""
        """What the filters hold back of that."""

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls up to now; the broken ones have a fault."""
        return () if self._scanner is None else self._scanner.calls

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        return self._new(self._through(text))

    def finish(self, *, cut: bool = False) -> str:
        """Return the rest; `cut`: the model did not end here, and half a call's beginning is no text."""
        rest = ""
        for reply_filter in self._filters:
            rest = (reply_filter.feed(rest) if rest else "") + reply_filter.finish(cut=cut)
        return self._new(rest)

    def _through(self, text: str) -> str:
        for reply_filter in self._filters:
            text = reply_filter.feed(text)
        return text

    def _new(self, text: str) -> str:
        """Return a text without what was there before, as far as it begins with that."""
        if not self._told or not text:
            return text
        pairs = enumerate(zip(text, self._told, strict=False))
        shared = next((place for place, (new, old) in pairs if new != old), min(len(text), len(self._told)))
        self._told = self._told[shared:] if shared == len(text) else ""
        return text[shared:]


def prepared(messages: Messages, chat_format: ChatFormat | None, template: str) -> Messages:
    """Return the messages with tool calls written as turns of the chat format, unless the template knows OpenAI's form itself."""
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
