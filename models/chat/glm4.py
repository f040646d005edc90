"""GLM-4's tool calls: a line with the tool's name, then its arguments as JSON.

Source: THUDM/glm-4-9b-chat, modeling_chatglm.py (`process_response`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.chat.calls.notation import CallNotation, CallRead, Tools, broken, checked, read_json
from models.chat.reply import offered


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer's first line is the name of a tool, and an object follows."""
    name, newline, rest = answer.partition("\n")
    if not newline:
        return None if any(known.startswith(name.strip()) for known in offered(tools)) else False
    if name.strip() not in offered(tools):
        return False
    rest = rest.lstrip()
    return rest.startswith("{") if rest else None


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    name, _, _ = text.partition("\n")
    value = read_json(text, len(name))
    if value is not None:
        return CallRead(value[1], (checked(name.strip(), value[0], tools),))
    return CallRead(len(text), (broken("The call's arguments are no valid JSON.", name.strip()),)) if final else None


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the content of an assistant's turn that makes a call; its metadata is the name."""
    return json.dumps(arguments, ensure_ascii=False)


NOTATION = CallNotation(_read, begins=_begins)
