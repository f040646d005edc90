"""Messages and tools of Anthropic's protocol in the form that chat templates take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from desktop_app.server.asked import text_of
from desktop_app.server.errors import APIError


def template_messages(
    messages: Sequence[Mapping[str, Any]], system: str | list[dict[str, Any]] | None
) -> tuple[dict[str, Any], ...]:
    """Return the messages, the system's first; raises APIError where one is malformed."""
    converted: list[dict[str, Any]] = []
    if text := text_of(system, "system"):
        converted.append({"role": "system", "content": text})
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        if message.get("role") == "user":
            converted += _user(message.get("content"), f"{where}.content")
        elif message.get("role") == "assistant":
            converted.append(_assistant(message.get("content"), f"{where}.content"))
        elif message.get("role") == "system":
            converted.append({"role": "system", "content": text_of(message.get("content"), f"{where}.content")})
        else:
            raise APIError(400, f"{where}.role: Input should be 'user' or 'assistant'")
    return tuple(converted)


def template_tools(tools: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return tools in OpenAI's form; raises APIError where one runs at Anthropic's."""
    return tuple(_tool(tool, f"tools.{number}") for number, tool in enumerate(tools))


def _tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") not in {None, "custom"}:
        raise APIError(400, f"{where}.type: {tool['type']!r} runs at Anthropic's service and is not available here")
    if not isinstance(tool.get("name"), str):
        raise APIError(400, f"{where}.name: Field required")
    function = {"name": tool["name"], "description": tool.get("description", "")}
    return {"type": "function", "function": {**function, "parameters": tool.get("input_schema") or {}}}


def _user(content: Any, where: str) -> list[dict[str, Any]]:
    """Return a user's turn: results of tools are messages of their own."""
    if not isinstance(content, list):
        return [{"role": "user", "content": text_of(content, where)}]
    results = [part for part in content if isinstance(part, Mapping) and part.get("type") == "tool_result"]
    rest = [part for part in content if part not in results]
    messages = [
        {
            "role": "tool",
            "content": text_of(part.get("content"), f"{where}.tool_result.content"),
            "tool_call_id": str(part.get("tool_use_id", "")),
        }
        for part in results
    ]
    return [*messages, {"role": "user", "content": text_of(rest, where)}] if rest or not messages else messages


def _assistant(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, list):
        return {"role": "assistant", "content": text_of(content, where)}
    parts = [part for part in content if isinstance(part, Mapping)]
    thoughts = [str(part.get("thinking", "")) for part in parts if part.get("type") == "thinking"]
    calls = [part for part in parts if part.get("type") == "tool_use"]
    texts = [part for part in content if _type(part) not in {"thinking", "redacted_thinking", "tool_use"}]
    message: dict[str, Any] = {"role": "assistant", "content": text_of(texts, where)}
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    if calls:
        message["tool_calls"] = [
            {
                "id": str(call.get("id", "")),
                "type": "function",
                "function": {
                    "name": str(call.get("name", "")),
                    "arguments": json.dumps(call.get("input") or {}, ensure_ascii=False),
                },
            }
            for call in calls
        ]
    return message


def _type(part: Any) -> Any:
    return part.get("type") if isinstance(part, Mapping) else None
