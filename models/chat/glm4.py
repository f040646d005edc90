"""GLM-4's tool calls: a line with the tool's name, then its arguments as JSON.

Source: THUDM/glm-4-9b-chat, modeling_chatglm.py (`process_response`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.reply import ToolCall, offered


def tool_calls(reply: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Return the call that a reply consists of; nothing where it is text: only tools that were offered are called."""
    name, _, rest = reply.strip().partition("\n")
    if name.strip() not in offered(tools):
        return []
    try:
        arguments = json.loads(rest)
        json.dumps(arguments, allow_nan=False)
    except (ValueError, RecursionError):
        return []
    return [ToolCall(name.strip(), arguments)] if isinstance(arguments, dict) else []


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the content of an assistant's turn that makes a call; its metadata is the name."""
    return json.dumps(arguments, ensure_ascii=False)
