"""MiniCPM's calls: Python calls in a block (MiniCPM3 and 4; LFM2), a function's tag with a tag around each argument (MiniCPM5).

Sources: the templates of openbmb/MiniCPM3-4B (`<|tool_call_start|>`) and openbmb/MiniCPM5-1B.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from models.chat.calls.notation import CallNotation, CallRead, Tools, broken, checked, schema_of, typed
from models.chat.calls.unmarked_json import keyword_arguments
from models.chat.reply import ToolCall

_START, _STOP = "<|tool_call_start|>", "<|tool_call_end|>"
_FUNCTION = re.compile(r'<function\s+name="(?P<name>[^"]*)"\s*>')
_PARAMETER = re.compile(r'\s*<param\s+name="(?P<key>[^"]*)"\s*>')
_CDATA, _CDATA_END, _VALUE_END, _END = "<![CDATA[", "]]>", "</param>", "</function>"
REASONING = {"<|thought_start|>": "<think>", "<|thought_end|>": "</think>"}
"""The control tokens around MiniCPM3's reasoning, and what stands for them in a reply's text."""


def _read_python(text: str, tools: Tools, final: bool) -> CallRead | None:
    end = text.find(_STOP)
    if end < 0 and not final:
        return None
    code = text[len(_START) : end if end >= 0 else len(text)].strip()
    code = code.removeprefix("```python").removeprefix("```").removesuffix("```")
    return CallRead(len(text) if end < 0 else end + len(_STOP), _python_calls(code, tools))


def _python_calls(code: str, tools: Tools) -> tuple[ToolCall, ...]:
    """Return the calls, one a line, in a block of Python, which is parsed and never run."""
    try:
        statements = ast.parse(code.strip()).body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return (broken("The call is no valid Python."),)
    listed = [item for statement in statements for item in _expressions(statement)]
    calls = []
    for source in map(ast.unparse, listed):
        name, arguments = source.partition("(")[0], keyword_arguments(source)
        if arguments is None:
            calls.append(broken("A call must be written as NAME(key=value), with plain values.", name[:100]))
        else:
            calls.append(checked(name, arguments, tools))
    return tuple(calls) or (broken("The call is empty."),)


def _expressions(statement: ast.stmt) -> list[ast.AST]:
    """Return the calls of a statement: LFM2 writes them as a list."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.List):
        return list(statement.value.elts)
    return [statement]


def _read_xml(text: str, tools: Tools, final: bool) -> CallRead | None:
    function = _FUNCTION.match(text)
    if function is None:
        return _whole_broken(text, 0, broken('The call needs <function name="NAME">.'), final)
    name, at, arguments = function["name"], function.end(), dict[str, Any]()
    while key := _PARAMETER.match(text, at):
        start = key.end()
        quoted = text[start:].lstrip().startswith(_CDATA)
        start = text.index(_CDATA, start) + len(_CDATA) if quoted else start
        stop = text.find(_CDATA_END if quoted else _VALUE_END, start)
        close = text.find(_VALUE_END, stop) if stop >= 0 else -1
        if close < 0:
            fault = broken("The call is not whole: </param> is missing.", name)
            return CallRead(len(text), (fault,)) if final else None
        arguments[key["key"]] = typed(text[start:stop], schema_of(name, tools).get(key["key"]))
        at = close + len(_VALUE_END)
    rest = text[at:].lstrip()
    if rest.startswith(_END):
        return CallRead(text.index(_END, at) + len(_END), (checked(name, arguments, tools),))
    if not final and (_END.startswith(rest) or "<param".startswith(rest[:6])):
        return None
    return _whole_broken(text, at, broken("The call is not whole: </function> is missing.", name), final)


def _whole_broken(text: str, at: int, fault: ToolCall, final: bool) -> CallRead | None:
    """Read a broken call as far as it reaches, however much of the reply is there: to its closing tag, or the reply's end."""
    end = text.find(_END, at)
    if end < 0:
        return CallRead(len(text), (fault,)) if final else None
    return CallRead(end + len(_END), (fault,))


MINICPM_PYTHON = CallNotation(_read_python, (_START,), (_STOP,), marks=(_START, _STOP))
MINICPM_XML = CallNotation(_read_xml, ("<function name=", "<function  name="), (_END,))
