"""Tools for models that know none: they are told of them in the system message, and a call is an answer in JSON.

Calls and results of earlier turns become turns of the assistant and the user, so that every template takes them. The same
JSON is what `models.chat.calls.unmarked_json` reads, and what a grammar can hold a model to (`call_schema`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.calls.notation import Tools
from models.chat.reply import called, functions

_OFFER = """You can use tools. To use one, answer with nothing but JSON in this form:
{"name": "NAME OF THE TOOL", "arguments": {"PARAMETER": VALUE}}
You are then given its result. Use a tool only where it helps; otherwise answer the user. The tools:
"""


def with_tools(messages: Sequence[Mapping[str, Any]], tools: Tools) -> list[Mapping[str, Any]]:
    """Return messages of the roles system, user and assistant alone, which tell of the tools."""
    result: list[dict[str, Any]] = []
    for message in messages:
        turn = _turn(message)
        if result and result[-1]["role"] == turn["role"] != "system":
            result[-1] = {**result[-1], "content": f"{result[-1]['content']}\n\n{turn['content']}"}
        else:
            result.append(turn)
    if not tools:
        return list(result)
    offer = _OFFER + "\n".join(json.dumps(function, ensure_ascii=False) for function in functions(tools))
    if result and result[0]["role"] == "system":
        return [{**result[0], "content": f"{result[0]['content']}\n\n{offer}"}, *result[1:]]
    return [{"role": "system", "content": offer}, *result]


def call_schema(tools: Tools) -> dict[str, Any]:
    """Return the JSON schema of a call of one of the tools; references lead into each one's own parameters."""
    return {"oneOf": [_schema(function, f"urn:zhiyin:tool:{n}") for n, function in enumerate(functions(tools))]}


def _schema(function: Mapping[str, Any], identity: str) -> dict[str, Any]:
    parameters = function.get("parameters")
    arguments: dict[str, Any] = {"type": "object"}
    if isinstance(parameters, Mapping) and parameters:
        arguments = {"allOf": [{"$id": identity, **parameters}, arguments]}
    properties = {"name": {"const": str(function.get("name", ""))}, "arguments": arguments}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message as a turn that every template knows."""
    content = message.get("content") or ""
    if message.get("role") == "tool":
        name = message.get("name")
        return {"role": "user", "content": f"Result of {name}:\n{content}" if name else f"Result:\n{content}"}
    calls = message.get("tool_calls")
    if not isinstance(calls, (list, tuple)) or not calls:
        return dict(message)
    made = (
        json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)
        for call in map(called, calls)
    )
    return {"role": "assistant", "content": "\n".join((*((content,) if content else ()), *made))}
