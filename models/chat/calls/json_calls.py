"""Calls as JSON between two tags: Hermes' notation, which Qwen 2.5 and 3, ERNIE 4.5, SmolLM3 and Granite 4 share, and relatives.

Sources: NousResearch/Hermes-Function-Calling; the templates of Qwen/Qwen2.5-7B-Instruct, baidu/ERNIE-4.5-21B-A3B-Thinking,
HuggingFaceTB/SmolLM3-3B, ibm-granite/granite-4.0 (`<tool_call>`), ibm-granite/granite-3.3 (`<|tool_call|>` and a list),
microsoft/Phi-4-mini-instruct (the same with a closing tag, or `functools` and a list), tencent/Hunyuan-A13B (`<tool_calls>` and
a list). An object has `name` and `arguments`, `parameters` in some; several stand in a list, behind one another or in tags each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from models.chat.calls.notation import CallNotation, CallRead, Tools, after_space, broken, checked, no_json, read_json
from models.chat.reply import ToolCall, called, functions

_ARGUMENTS = ("arguments", "parameters")
_FENCES = ("```json", "```")
_STRAY = (",", ";", "}", "]")
"""What stands behind a whole value by mistake."""


def call_of(value: Any, tools: Tools) -> ToolCall:
    """Return the call that an object describes, in OpenAI's form too."""
    if not isinstance(value, Mapping):
        return broken('A call must be a JSON object with "name" and "arguments".')
    inner = value.get("function")
    value = inner if isinstance(inner, Mapping) else value
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    return checked(value.get("name", inner), arguments, tools, value.get("id"))


def calls_of(value: Any, tools: Tools) -> tuple[ToolCall, ...]:
    """Return the calls of an object, or of a list of them."""
    listed = _flat(value) if isinstance(value, list) else [value]
    return tuple(call_of(item, tools) for item in listed) or (broken("The call holds no JSON object."),)


def _flat(values: list[Any]) -> list[Any]:
    """Return what a list of lists holds."""
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def between(opening: str, closing: str, *others: str) -> CallNotation:
    """Return the notation of calls between two tags; "": the closing one may be missing; `others` open a call as well."""
    openings = (opening, *others)
    read = partial(_read, openings, closing)
    return CallNotation(
        read, openings, (closing,) if closing else (), marks=tuple(tag for tag in (*openings, closing) if tag)
    )


def _read(openings: tuple[str, ...], closing: str, text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read one tag's calls; the JSON says where they end, so that a text in it may hold the closing tag."""
    start = len(next((tag for tag in openings if text.startswith(tag)), ""))
    calls, at = _values(text, start, tools)
    rest = text[at:]
    if closing and rest.startswith(closing):
        return CallRead(at + len(closing), tuple(calls) or (broken("The call holds no JSON object."),))
    if not final and (not rest or closing.startswith(rest) or _may_go_on(rest)):
        return None
    if calls and closing.startswith(rest or "\0"):  # the end of the reply cuts the closing tag off
        return CallRead(len(text), tuple(calls))
    end = text.find(closing, at) if closing else -1
    if not final and closing and end < 0:
        return None
    if end < 0 and not _may_go_on(rest):  # text follows; without calls it only mentions the tag
        return CallRead(at, tuple(calls)) if calls else CallRead(start, ())
    body = rest if end < 0 else text[at:end]
    fault = broken(no_json("The call", body), _name_in(body, tools))
    return CallRead(len(text) if end < 0 else end + len(closing), (*calls, fault))


def _values(text: str, at: int, tools: Tools) -> tuple[list[ToolCall], int]:
    """Return the calls of the JSON values that stand behind one another, and where the text goes on."""
    calls: list[ToolCall] = []
    while True:
        at = after_space(text, at)
        if len(text) - at < len(_FENCES[0]) and _FENCES[0].startswith(text[at:]):  # half a fence
            return calls, at
        at = after_space(text, _without(text, at, _FENCES))
        # Another value is no call, and a text that begins with a quotation mark may end anywhere behind the closing tag.
        value = read_json(text, at) if text[at : at + 1] in ("{", "[") else None
        if value is None:
            return calls, at
        calls += calls_of(value[0], tools)
        at = _without(text, after_space(text, value[1]), _FENCES)
        while (further := _without(text, after_space(text, at), _STRAY)) > after_space(text, at):
            at = further


def _may_go_on(rest: str) -> bool:
    """Tell whether JSON that is not whole may become so, or a fence."""
    return rest[:1] in ("{", "[") or (bool(rest.strip()) and _FENCES[0].startswith(rest.strip()))


def _without(text: str, at: int, parts: tuple[str, ...]) -> int:
    """Return where the text goes on after one of these parts, if it stands there."""
    return at + next((len(part) for part in parts if text.startswith(part, at)), 0)


def _name_in(text: str, tools: Tools) -> str:
    """Return the name of the tool that a broken call was about to call, "" where it cannot be told."""
    head = text.partition('"name"')[2].lstrip().removeprefix(":")
    value = read_json(head, 0)
    name = value[0] if value else None
    return name if isinstance(name, str) else ""


def phi4_messages(messages: Tools, tools: Tools) -> list[Mapping[str, Any]]:
    """Return Phi-4-mini's messages: its template takes the functions as JSON in `tools` of the system message."""
    first = messages[0] if messages and messages[0].get("role") == "system" else {"role": "system", "content": ""}
    rest = messages[1:] if messages and messages[0].get("role") == "system" else messages
    listed = json.dumps(functions(tools), ensure_ascii=False)
    return [{**first, "tools": listed}, *map(_phi4_turn, rest)]


def _phi4_turn(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a turn with its calls written out; the template knows none."""
    calls = message.get("tool_calls")
    if not isinstance(calls, (list, tuple)) or not calls:
        return message
    made = [{"name": call.name, "arguments": dict(call.arguments)} for call in map(called, calls)]
    content = f"{message.get('content') or ''}<|tool_call|>{json.dumps(made, ensure_ascii=False)}<|/tool_call|>"
    return {"role": "assistant", "content": content}


HERMES = between("<tool_call>", "</tool_call>")
GRANITE = between("<|tool_call|>", "")
PHI4_MINI = between("<|tool_call|>", "<|/tool_call|>", "functools")
HUNYUAN = between("<tool_calls>", "</tool_calls>")
NEMOTRON = between("<TOOLCALL>", "</TOOLCALL>")
