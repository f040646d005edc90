"""Calls that are an answer in JSON, without a mark: Llama 3.1 to 3.3, and models without a notation of their own.

Source: meta-llama/llama-models, models/llama3_1/prompt_format.md: `{"name": …, "parameters": …}`; calls of built-in tools follow
`<|python_tag|>`, as `NAME.call(key="value")`, and what follows it otherwise is code for the interpreter.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from models.chat.calls.json_calls import calls_of
from models.chat.calls.notation import (
    CallNotation,
    CallRead,
    Tools,
    broken,
    checked,
    interpreter_call,
    no_json,
    read_json,
)
from models.chat.reply import ToolCall, offered

_PYTHON = "<|python_tag|>"
_ARGUMENTS = ("arguments", "parameters")
_BEGINNINGS = tuple(f"{{{kind}{key}" for kind in ("", "type function,") for key in ("name", "function", *_ARGUMENTS))
"""Of a call, with a space in place of quotation marks and colons: JSON that is none is a malformed call, not an answer."""
_QUOTES, _SIGNS = re.compile(r"[\s\"':]+"), re.compile(r"\s*([\[\]{},])\s*")
_FENCES = ("```json\n", "```\n")
_STRAY = ("}", "]")
"""What stands behind a whole call by mistake."""
_BEGINNING = 256
"""Characters in which a call's beginning must be seen."""
_BUILT_IN = re.compile(r"\s*(\w+)\.call\((.*?)(\)?)\s*\Z", re.DOTALL)


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer is an object, in a list or a block perhaps, whose first key is one of a call's."""
    start = answer[:_BEGINNING]
    if any(fence.startswith(start) for fence in _FENCES):
        return None
    start = start[_fence(start) :]
    start = _SIGNS.sub(r"\1", _QUOTES.sub(" ", start)).lstrip().lstrip("[")
    result: bool | None = False
    for beginning in _BEGINNINGS:
        after = start[len(beginning) : len(beginning) + 1]
        if start.startswith(beginning) and after and not (after.isalnum() or after == "_"):
            return True
        if beginning.startswith(start.rstrip()):
            result = None
    return result


def _fence(text: str) -> int:
    """Return the length of the line that opens a block of code at the beginning of a text."""
    return next((len(fence) for fence in _FENCES if text.startswith(fence)), 0)


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    if text.startswith(_PYTHON):  # only the end tells code from JSON
        return CallRead(len(text), (_python_call(text[len(_PYTHON) :], tools),)) if final else None
    start = _fence(text)
    first = read_json(text, start)
    if first is not None and not _is_call(first[0], tools):
        return CallRead(first[1], ())
    calls, at = _values(text, start, tools)
    rest = text[at:].strip()
    if start and calls and _FENCES[1].startswith(rest[:3]):
        if not final and len(rest) < 3:
            return None
        at, rest = len(text) - len(text[at:].lstrip()) + len(rest[:3]), rest[3:]
    if calls and (final or rest[:1] not in ("", "{", ";", "<")):
        return CallRead(at, tuple(calls))
    return _malformed(text, at, calls, tools) if final else None


def _values(text: str, at: int, tools: Tools) -> tuple[list[ToolCall], int]:
    """Return the calls of the values that stand behind one another, and where the text goes on."""
    calls: list[ToolCall] = []
    while (value := read_json(text, at)) is not None and isinstance(value[0], (dict, list)):
        calls += calls_of(value[0], tools)
        at = value[1]
        at = at + 1 if text[at:].lstrip()[:1] == ";" else at
    return calls, at


def _malformed(text: str, at: int, calls: list[ToolCall], tools: Tools) -> CallRead:
    """Read what begins as a call and is no JSON; where nothing in it speaks of a tool, it is text after all."""
    named = next((name for name in sorted(offered(tools), key=len, reverse=True) if name in text[at:]), "")
    if not named and "name" not in text[at:]:
        return CallRead(len(text), tuple(calls))
    return CallRead(len(text), (*calls, broken(no_json("The call", text, at), named)))


def _is_call(value: Any, tools: Tools) -> bool:
    """Tell whether JSON is meant as a call: it names a tool, or something with arguments."""
    if isinstance(value, list):
        return any(_is_call(item, tools) for item in value)
    if not isinstance(value, Mapping):
        return False
    inner = value.get("function")
    name = value.get("name", inner.get("name") if isinstance(inner, Mapping) else inner)
    has_arguments = any(key in part for part in (value, inner) if isinstance(part, Mapping) for key in _ARGUMENTS)
    return (
        (isinstance(name, str) and name in offered(tools)) or ("name" in value and has_arguments) or inner is not None
    )


def _python_call(code: str, tools: Tools) -> ToolCall:
    """Return what follows the tag: JSON, a built-in tool's call, or code."""
    value = read_json(code, 0)
    if value is not None and isinstance(value[0], (dict, list)) and not code[value[1] :].strip(" \n}];"):
        return calls_of(value[0], tools)[0]
    if _begins(code.lstrip(), tools):
        return broken(no_json("The call", code))
    built_in = _BUILT_IN.match(code)
    if built_in is None or built_in[1] not in offered(tools):
        return interpreter_call(code.strip(), tools)
    arguments = keyword_arguments(f"call({built_in[2]})") if built_in[3] else None
    if arguments is None:
        return broken("The call must be written as NAME.call(key=value), with plain values.", built_in[1])
    return checked(built_in[1], arguments, tools)


def keyword_arguments(call: str) -> dict[str, Any] | None:
    """Return the literal keyword arguments of one call in Python, or None where it is none."""
    try:
        node = ast.parse(call.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or node.args or any(keyword.arg is None for keyword in node.keywords):
            return None
        values = {str(keyword.arg): ast.literal_eval(_Literals().visit(keyword.value)) for keyword in node.keywords}
        json.dumps(values, allow_nan=False)  # what JSON cannot hold cannot be passed on
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return values


class _Literals(ast.NodeTransformer):
    """JSON's names of values in Python."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Return the value of such a name."""
        names = {"true": True, "false": False, "null": None}
        return ast.copy_location(ast.Constant(names[node.id]), node) if node.id in names else node


LLAMA3 = CallNotation(_read, (_PYTHON,), strays=_STRAY, begins=_begins, marks=(_PYTHON,))
GENERIC = CallNotation(_read, strays=_STRAY, begins=_begins)
