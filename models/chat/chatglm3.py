"""ChatGLM3's tool calls: a line with the tool's name, then a block of Python that calls `tool_call` with literal arguments.

Source: THUDM/chatglm3-6b, modeling_chatglm.py (`process_response`), and the demos of THUDM/ChatGLM3. The publisher evaluates the
block as Python; here it is parsed, and whatever is not a call with plain values is text. The code interpreter's name is
`interpreter`, its block is the code itself.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.reply import ToolCall

_BLOCK = re.compile(r"(?P<name>[^\n`]{1,256})\n\s*```(?:python)?[ \t]*\n(?P<code>.*?)\n?```", re.DOTALL)
_INTERPRETER = "interpreter"
_LONGEST = 256 * 1024


def tool_calls(reply: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Return the call that a reply consists of; nothing where it is text."""
    found = _BLOCK.match(reply.lstrip()) if len(reply) <= _LONGEST else None
    if found is None:
        return []
    name, code = found["name"].strip(), found["code"]
    if name == _INTERPRETER:
        return [ToolCall(name, {"code": code})]
    arguments = _arguments(code)
    return [] if arguments is None else [ToolCall(name, arguments)]


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
