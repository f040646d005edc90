"""Calls that are an answer in JSON, without a mark: Llama 3.1 to 3.3, and models without a notation of their own.

Source: meta-llama/llama-models, models/llama3_1/prompt_format.md: `{"name": …, "parameters": …}`; calls of built-in tools follow
`<|python_tag|>`, as `NAME.call(key="value")`, and what follows it otherwise is code for the interpreter.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from models.chat.calls.json_calls import calls_of
from models.chat.calls.notation import CallNotation, CallRead, Tools, broken, checked, interpreter_call, read_json
from models.chat.reply import ToolCall, offered

_PYTHON = "<|python_tag|>"
_BEGINNINGS = tuple(
    f"{bracket}{{{kind}{key}:"
    for bracket in ("", "[")
    for kind in ("", '"type":"function",')
    for key in ('"name"', '"function"')
)
"""Of a call, without spaces."""
_BEGINNING = 256
"""Characters in which a call's beginning must be seen."""
_BUILT_IN = re.compile(r"\s*(\w+)\.call\((.*)\)\s*\Z", re.DOTALL)


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer is JSON that names a function."""
    start = "".join(answer[:_BEGINNING].split())
    if any(map(start.startswith, _BEGINNINGS)):
        return True
    return None if any(beginning.startswith(start) for beginning in _BEGINNINGS) else False


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    if text.startswith(_PYTHON):  # only the end tells code from JSON
        return CallRead(len(text), (_python_call(text[len(_PYTHON) :], tools),)) if final else None
    calls: list[ToolCall] = []
    at = 0
    while (value := read_json(text, at)) is not None and isinstance(value[0], (dict, list)):
        calls += calls_of(value[0], tools)
        at = value[1]
        at = at + 1 if text[at:].lstrip()[:1] == ";" else at
    if calls and (final or text[at:].strip()[:1] not in ("", "{", ";", "<")):
        return CallRead(at, tuple(calls))
    return CallRead(len(text), (broken("The call is not whole, or no valid JSON."),)) if final else None


def _python_call(code: str, tools: Tools) -> ToolCall:
    """Return what follows the tag: JSON, a built-in tool's call, or code."""
    value = read_json(code, 0)
    if value is not None and isinstance(value[0], dict) and not code[value[1] :].strip():
        return calls_of(value[0], tools)[0]
    built_in = _BUILT_IN.match(code)
    if built_in and built_in[1] in offered(tools):
        return checked(built_in[1], keyword_arguments(f"call({built_in[2]})"), tools)
    return interpreter_call(code.strip(), tools)


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


LLAMA3 = CallNotation(_read, (_PYTHON,), begins=_begins, marks=(_PYTHON,))
GENERIC = CallNotation(_read, begins=_begins)
