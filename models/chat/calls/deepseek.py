"""Calls of DeepSeek-V3, R1 and its distilled models, and of DeepSeek-V3.1.

Sources: the templates of deepseek-ai/DeepSeek-V3 and DeepSeek-R1-Distill-Qwen-32B (a type, the name, then a block of JSON) and
DeepSeek-V3.1 (the name, then JSON). R1 often spells the first tag otherwise, as llama.cpp and vLLM know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.chat.calls.notation import CallNotation, CallRead, Tools, broken, checked, no_json, read_json
from models.chat.reply import ToolCall, functions

_ALL, _ALL_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_ONE, _ONE_END, _SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_VARIANTS = ("<｜tool_calls_begin｜>", "<｜tool calls begin｜>", r"<｜tool\_calls\_begin｜>", "<｜tool▁calls｜>")


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read up to the end of all calls."""
    end = text.find(_ALL_END)
    if end < 0 and not final:
        return None
    body = text if end < 0 else text[:end]
    calls = tuple(_call(part.partition(_ONE_END)[0], tools) for part in body.split(_ONE)[1:])
    if not calls:
        bare = next((body[len(tag) :] for tag in (_ALL, *_VARIANTS) if body.startswith(tag)), body)
        calls = (_call(bare, tools),)
    return CallRead(len(text) if end < 0 else end + len(_ALL_END), calls)


def _call(text: str, tools: Tools) -> ToolCall:
    """Return the call `TYPE<sep>NAME`, a line, a block of JSON; or `NAME<sep>JSON`."""
    first, _, rest = text.strip().partition(_SEPARATOR)
    name, body = (first, rest) if rest.lstrip()[:1] == "{" else (rest.partition("\n")[0], rest.partition("\n")[2])
    value = read_json(body.strip().removeprefix("```json").removeprefix("```"), 0)
    if value is None:
        return broken(no_json("The call", body.strip().removeprefix("```json").removeprefix("```")), name.strip()[:100])
    return checked(name.strip(), value[0], tools)


def with_tools(messages: Tools, tools: Tools) -> list[Mapping[str, Any]]:
    """Return messages whose system message lists the tools as DeepSeek-V3.1's model card does: the template does not."""
    return _with_offer(messages, tools, f"{_ONE}tool_call_name{_SEPARATOR}tool_call_arguments{_ONE_END}")


def with_tools_v3(messages: Tools, tools: Tools) -> list[Mapping[str, Any]]:
    """Return the same for DeepSeek-V3 and R1, whose calls have a type and a block."""
    form = f"{_ONE}function{_SEPARATOR}tool_call_name\n```json\ntool_call_arguments\n```{_ONE_END}"
    return _with_offer(messages, tools, form)


def _with_offer(messages: Tools, tools: Tools, form: str) -> list[Mapping[str, Any]]:
    """Return messages with the offer; it ends in control tokens, which the templates let through."""
    if not tools:
        return list(messages)
    listed = "".join(
        f"\n### {function.get('name')}\nDescription: {function.get('description', '')}\n\n"
        f"Parameters: {json.dumps(function.get('parameters'), ensure_ascii=False)}\n"
        for function in functions(tools)
    )
    offer = f"## Tools\nYou have access to the following tools:\n{listed}\n{_RULES.replace('FORM', form)}"
    if messages and messages[0].get("role") == "system":
        return [{**messages[0], "content": f"{messages[0].get('content') or ''}\n\n{offer}"}, *messages[1:]]
    return [{"role": "system", "content": offer}, *messages]


_RULES = f"""IMPORTANT: ALWAYS adhere to this exact format for tool use:
{_ALL}FORM{{additional_tool_calls}}{_ALL_END}

Where:

- `tool_call_name` must be an exact match to one of the available tools
- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
- For multiple tool calls, chain them directly without separators or spaces"""

DEEPSEEK = CallNotation(
    _read,
    (_ALL, *_VARIANTS, _ONE),
    (_ALL_END, _ONE_END, _SEPARATOR),
    marks=(_ALL, _ALL_END, _ONE, _ONE_END, _SEPARATOR),
)
