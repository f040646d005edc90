"""ChatGLM3's tool calls: a line with the tool's name, then a block of Python that calls `tool_call` with literal arguments.

Source: THUDM/chatglm3-6b, modeling_chatglm.py (`process_response`), and the demos of THUDM/ChatGLM3. The publisher evaluates the
block as Python; here it is parsed, and whatever is not a call with plain values is none. The code interpreter's name is
`interpreter`, its block is the code itself.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from models.chat.calls.notation import INTERPRETERS, CallNotation, CallRead, Tools, broken, checked, interpreter_call
from models.chat.reply import offered

_BLOCK = re.compile(r"(?P<name>[^\n`]{1,256})\n\s*```(?:python)?[ \t]*\n(?P<code>.*?)\n?```", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][\w.\-]{0,63}\Z")
_INTERPRETER, _CALL = "interpreter", "tool_call("
_NO_BLOCK = "After the name of the tool a block of Python is needed, ```python with tool_call(key=value) in it."
_LONGEST = 256 * 1024


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer's first line is the name of a tool, and a block follows."""
    name, newline, rest = answer[:_LONGEST].partition("\n")
    names = {*offered(tools), *((_INTERPRETER,) if offered(tools) & set(INTERPRETERS) else ())}
    name, rest = name.strip(), rest.lstrip()
    if not newline:
        return None if any(known.startswith(name) for known in names) or _WORD.match(name) else False
    if name not in names:  # a block that calls is a call all the same, of a tool that is not there
        return _begins_block(rest, (f"```python\n{_CALL}", f"```\n{_CALL}")) if _WORD.match(name) else False
    return _begins_block(rest, ("```", _CALL, "{"))


def _begins_block(text: str, beginnings: tuple[str, ...]) -> bool | None:
    """Tell whether a text begins with one of these; None: it is too short."""
    if text.startswith(beginnings):
        return True
    return None if any(beginning.startswith(text) for beginning in beginnings) else False


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    match = _BLOCK.match(text) if len(text) <= _LONGEST else None
    if match is None:
        name, _, rest = text.partition("\n")
        has_block = rest.lstrip().startswith("```")
        fault = "The call's block of code has no end." if has_block else _NO_BLOCK
        return CallRead(len(text), (broken(fault, name.strip()),)) if final else None
    name, code = match["name"].strip(), match["code"]
    if name == _INTERPRETER:
        return CallRead(match.end(), (interpreter_call(code, tools),))
    arguments = _arguments(code)
    if arguments is None:
        return CallRead(match.end(), (broken("The block must be tool_call(key=value), with plain values.", name),))
    return CallRead(match.end(), (checked(name, arguments, tools),))


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the content of an assistant's turn that makes a call; its metadata is the name."""
    if name == _INTERPRETER and isinstance(arguments.get("code"), str):
        return f"```python\n{arguments['code']}\n```"
    values = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"```python\ntool_call({values})\n```"


def _arguments(code: str) -> dict[str, Any] | None:
    """Return the keyword arguments of `tool_call(...)`, or None for any other code."""
    try:
        call = ast.parse(code.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "tool_call":
            return None
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            return None
        values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        json.dumps(values, allow_nan=False)  # what JSON cannot hold cannot be passed on
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return values


NOTATION = CallNotation(_read, begins=_begins)
