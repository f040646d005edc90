"""Tool calls of GLM-4.5 to GLM-4.7, which other models took over: a tool's name, then each argument between tags of its own.

Source: the templates of zai-org/GLM-4.5, GLM-4.6 and GLM-4.7-Flash; the first two write each tag on a line of its own. A text
stands in its tags as it is, every other value as JSON: which of them it is, the tool's parameters say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.calls.json_calls import HERMES
from models.chat.calls.notation import CallNotation, CallRead, Tools, after_space, broken, checked, schema_of, typed
from models.chat.reply import ToolCall, called

_CALL, _CALL_END, _KEY_END, _VALUE_END = "<tool_call>", "</tool_call>", "</arg_key>", "</arg_value>"
_KEY, _VALUE, _END = (re.compile(rf"\s*{tag}") for tag in ("<arg_key>", "<arg_value>", "</tool_call>"))
_TAGS = (_CALL, _CALL_END, "<arg_key>", _KEY_END, "<arg_value>", _VALUE_END)
_NAME = re.compile(r"[^\s<>]{1,256}\Z")


def is_written_by(template: str) -> bool:
    """Tell whether a chat template writes calls this way."""
    return _CALL in template and "<arg_key>" in template


def turns(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return messages as the templates want them: a call's arguments as an object, and no content as an empty one."""
    return [_turn(message) if message.get("tool_calls") else message for message in messages]


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    made = [{"name": call.name, "arguments": dict(call.arguments)} for call in map(called, message["tool_calls"])]
    calls = [{"type": "function", "function": function} for function in made]
    return {**message, "content": message.get("content") or "", "tool_calls": calls}


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read one call; an argument's text is what stands between its tags."""
    start = after_space(text, len(_CALL))
    if text.startswith(("{", "[", "`"), start):  # as its smaller relatives write them
        return HERMES.read(text, tools, final)
    name_end = text.find("<", start)
    name = text[start : name_end if name_end >= 0 else len(text)].strip()
    if not _NAME.match(name) or name_end < 0:
        return _no_call(text, name, final)
    arguments, at = dict[str, Any](), name_end
    while key := _KEY.match(text, at):
        key_end = text.find(_KEY_END, key.end())
        value = _VALUE.match(text, key_end + len(_KEY_END)) if key_end >= 0 else None
        value_end = text.find(_VALUE_END, value.end()) if value else -1
        if value is None or value_end < 0:
            return _faulty(text, at, name) if final else None
        written = text[key.end() : key_end].strip()
        arguments[written] = typed(text[value.end() : value_end], schema_of(name, tools).get(written))
        at = value_end + len(_VALUE_END)
    end = _END.match(text, at)
    if end or text.startswith(_CALL, after_space(text, at)):  # where another one begins, the end was left out
        return CallRead(end.end() if end else at, (checked(name, arguments, tools),))
    return _faulty(text, at, name) if final else None


def _no_call(text: str, name: str, final: bool) -> CallRead | None:
    """Read what has no name of a tool: a malformed call where its end is there, else a text that mentions the tag."""
    end, another = text.find(_CALL_END), text.find(_CALL, len(_CALL))
    if another >= 0 and not _NAME.match(name):
        return CallRead(len(_CALL), ())
    if end < 0 and _NAME.match(name):
        return CallRead(len(text), (_unfinished(name),)) if final else None
    if end >= 0:
        fault = "The call must begin with the name of a tool, and each argument needs its four tags."
        return CallRead(end + len(_CALL_END), (broken(fault, name),))
    return CallRead(len(_CALL), ()) if final else None


def _faulty(text: str, at: int, name: str) -> CallRead:
    """Read a call whose tags are not all there, up to its end."""
    end = text.find(_CALL_END, at)
    return CallRead(len(text) if end < 0 else end + len(_CALL_END), (_unfinished(name),))


def _unfinished(name: str) -> ToolCall:
    return broken("The call is not whole: each argument needs its four tags, and the call its end.", name)


NOTATION = CallNotation(_read, (_CALL,), _TAGS[1:], marks=_TAGS)
