"""Calls of Qwen3-Coder and Qwen3.5: a function's tag, a tag around each argument's text.

Sources: the templates of Qwen/Qwen3-Coder-30B-A3B-Instruct and Qwen/Qwen3.5-4B. The first often leaves `<tool_call>` out.
"""

from __future__ import annotations

import re
from typing import Any

from models.chat.calls.json_calls import HERMES
from models.chat.calls.notation import CallNotation, CallRead, Tools, after_space, broken, checked, schema_of, typed
from models.chat.reply import ToolCall

_CALL, _CALL_END = "<tool_call>", "</tool_call>"
_FUNCTION = re.compile(r"\s*<\s*function\s*=\s*(?P<name>[^>\n]+)>")
_PARAMETER = re.compile(r"\s*<\s*parameter\s*=\s*(?P<key>[^>\n]+)>\n?")
_END = re.compile(r"\s*<\s*/\s*function\s*>")
_VALUE_END = re.compile(r"\n?<\s*/\s*parameter\s*>(?=\s*(?:<\s*parameter\s*=|<\s*/\s*function\s*>|</tool_call>|\Z))")


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read one call; a value ends where another parameter or the function's end follows, so that it may hold the tag."""
    start = len(_CALL) if text.startswith(_CALL) else 0
    function = _FUNCTION.match(text, start)
    if function is None:
        if text.startswith(("{", "[", "```"), after_space(text, start)):  # as its smaller relatives write them
            return HERMES.read(text, tools, final)
        return _faulty(text, start, broken("The call is not whole: it needs <function=NAME>.")) if final else None
    name, at, arguments = function["name"].strip(), function.end(), dict[str, Any]()
    while key := _PARAMETER.match(text, at):
        value = next(_ends(text, key.end(), final), None)
        if value is None:
            fault = broken("The call is not whole: </parameter> is missing.", name)
            return _faulty(text, at, fault) if final else None
        written = text[key.end() : value.start()]
        arguments[key["key"].strip()] = typed(written, schema_of(name, tools).get(key["key"].strip()))
        at = value.end()
    end = _END.match(text, at)
    if end is None:
        return _faulty(text, at, broken("The call is not whole: </function> is missing.", name)) if final else None
    return CallRead(end.end(), (checked(name, arguments, tools),))


def _faulty(text: str, at: int, fault: ToolCall) -> CallRead:
    """Read a call that is none up to its end."""
    end = text.find(_CALL_END, at)
    return CallRead(len(text) if end < 0 else end + len(_CALL_END), (fault,))


def _ends(text: str, at: int, final: bool) -> Any:
    """Yield where a value may end; at the end of the text only when nothing follows any more."""
    for match in _VALUE_END.finditer(text, at):
        if final or text[match.end() :].strip():
            yield match


QWEN_XML = CallNotation(_read, (_CALL, "<function="), (_CALL_END,), in_reasoning=True, marks=(_CALL, _CALL_END))
