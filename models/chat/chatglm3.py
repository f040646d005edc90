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
_INTERPRETER = "interpreter"
_LONGEST = 256 * 1024


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer's first line is the name of a tool, and a block follows."""
    name, newline, rest = answer[:_LONGEST].partition("\n")
    names = {*offered(tools), *((_INTERPRETER,) if offered(tools) & set(INTERPRETERS) else ())}
    if not newline:
        return None if any(known.startswith(name.strip()) for known in names) else False
    if name.strip() not in names:
        return False
    rest = rest.lstrip()
    return True if rest.startswith("```") else None if "```".startswith(rest) else False


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    match = _BLOCK.match(text) if len(text) <= _LONGEST else None
    if match is None:
        name = text.partition("\n")[0].strip()
        return CallRead(len(text), (broken("The call's block of code has no end.", name),)) if final else None
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
