"""Messages of OpenAI's protocol in the form that chat templates take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from desktop_app.server.asked import text_of
from desktop_app.server.errors import APIError

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_KEPT = ("name", "tool_call_id", "reasoning_content")


def template_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return the messages; raises APIError where one is malformed."""
    return tuple(_message(message, f"messages[{number}]") for number, message in enumerate(messages))


def _message(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    role = message.get("role")
    if role not in _ROLES:
        wanted = ", ".join(f"'{name}'" for name in _ROLES)
        text = f"Invalid value for '{where}.role': it must be one of {wanted}."
        raise APIError(400, text, code="invalid_value", param=f"{where}.role")
    result: dict[str, Any] = {"role": _ROLES[role], "content": text_of(message.get("content"), f"{where}.content")}
    result |= {key: value for key in _KEPT if isinstance(value := message.get(key), str) and value}
    calls = message.get("tool_calls")
    if role == "assistant" and calls:
        result["tool_calls"] = [_call(call, f"{where}.tool_calls[{n}]") for n, call in enumerate(_list(calls, where))]
    return result


def _list(calls: Any, where: str) -> list[Any]:
    if isinstance(calls, list):
        return calls
    raise APIError(400, f"Invalid value for '{where}.tool_calls': it must be a list.", param=f"{where}.tool_calls")


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    arguments = function.get("arguments") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not isinstance(arguments, str):
        text = f"Invalid value for '{where}.function': it must have a name and arguments, JSON in a text."
        raise APIError(400, text, code="invalid_value", param=f"{where}.function")
    return {"id": str(call.get("id", "")), "type": "function", "function": {"name": name, "arguments": arguments}}
