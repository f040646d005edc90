"""Tool calls of GLM-4.5 to GLM-4.7, which other models took over: a tool's name, then each argument between tags of its own.

Source: the templates of zai-org/GLM-4.5, GLM-4.6 and GLM-4.7-Flash; the first two write each tag on a line of its own. A text
stands in its tags as it is, every other value as JSON: which of them it is, the tool's parameters say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from models.chat.reply import ToolCall, called, functions, offered

_CALL, _KEY_END, _VALUE_END = "<tool_call>", "</arg_key>", "</arg_value>"
_KEY, _VALUE, _END = (re.compile(rf"\s*{tag}") for tag in ("<arg_key>", "<arg_value>", "</tool_call>"))
_TAGS = (_CALL, "</tool_call>", "<arg_key>", _KEY_END, "<arg_value>", _VALUE_END)
MARKS = {tag: tag for tag in _TAGS}
"""Where a vocabulary has the tags as control tokens, they are text all the same."""
_OPEN, _CLOSE = "<think>", "</think>"


def is_written_by(template: str) -> bool:
    """Tell whether a chat template writes calls this way."""
    return _CALL in template and "<arg_key>" in template


def tool_calls(reply: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Return the calls in a reply, those in its thought left out; only tools that were offered are called."""
    answer = reply.partition(_CLOSE)[2] if reply.lstrip().startswith(_OPEN) else reply
    names, calls = offered(tools), []
    at = answer.find(_CALL)
    while at >= 0:
        found, at = _read(answer, at + len(_CALL))
        if found is not None and found[0] in names:
            name, texts = found
            kinds = _kinds(name, tools)
            calls.append(ToolCall(name, {key: _value(text, kinds.get(key, set())) for key, text in texts.items()}))
        at = answer.find(_CALL, at)
    return calls


def turns(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return messages as the templates want them: a call's arguments as an object, and no content as an empty one."""
    return [_turn(message) if message.get("tool_calls") else message for message in messages]


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    made = [{"name": call.name, "arguments": dict(call.arguments)} for call in map(called, message["tool_calls"])]
    calls = [{"type": "function", "function": function} for function in made]
    return {**message, "content": message.get("content") or "", "tool_calls": calls}


def _read(text: str, at: int) -> tuple[tuple[str, dict[str, str]] | None, int]:
    """Return name and arguments of the call that begins at `at`, None where it is not whole, and how far it was read."""
    name_end = text.find("<", at)
    if name_end < 0:
        return None, len(text)
    name, arguments, at = text[at:name_end].strip(), {}, name_end
    while key := _KEY.match(text, at):
        key_end = text.find(_KEY_END, key.end())
        if key_end < 0:
            return None, len(text)
        value = _VALUE.match(text, key_end + len(_KEY_END))
        if value is None:
            return None, key_end
        value_end = text.find(_VALUE_END, value.end())
        if value_end < 0:
            return None, len(text)
        arguments[text[key.end() : key_end].strip()] = text[value.end() : value_end]
        at = value_end + len(_VALUE_END)
    end = _END.match(text, at)
    return ((name, arguments), end.end()) if end else (None, at)


def _kinds(name: str, tools: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the JSON types that each parameter of a tool may have, as far as its schema says."""
    schema = next(function.get("parameters") for function in functions(tools) if function.get("name") == name)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return {str(key): _types(said) for key, said in properties.items()} if isinstance(properties, Mapping) else {}


def _types(schema: Any) -> set[str]:
    if not isinstance(schema, Mapping):
        return set()
    said, choices = schema.get("type"), schema.get("anyOf")
    types = {said} if isinstance(said, str) else set(map(str, said)) if isinstance(said, (list, tuple)) else set()
    return types.union(*map(_types, choices)) if isinstance(choices, (list, tuple)) else types


def _value(text: str, types: set[str]) -> Any:
    """Return an argument: a text where its parameter may be one, else what the JSON says; what is none is a text, too."""
    if "string" in types and not ("null" in types and text.strip() == "null"):
        return text
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
