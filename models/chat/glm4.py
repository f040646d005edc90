"""GLM-4's tool calls: a line with the tool's name, then its arguments as JSON.

Source: THUDM/glm-4-9b-chat, modeling_chatglm.py (`process_response`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from models.chat.calls.notation import CallNotation, CallRead, Tools, broken, checked, no_json, read_json
from models.chat.reply import offered

_WORD = re.compile(r"[^\s{\[]{1,256}")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_.][a-z0-9]+)+\Z")
"""What is a name and no word of an answer, though no such tool was offered."""


def _begins(answer: str, tools: Tools) -> bool | None:
    """Tell whether an answer begins with the name of a tool, and an object follows."""
    name, rest = _split(answer)
    known = offered(tools)
    if not rest:
        return None if any(one.startswith(name) for one in known) or _NAME.match(name) or not name else False
    return rest[0] == "{" and (name in known or _NAME.match(name) is not None)


def _split(answer: str) -> tuple[str, str]:
    """Return the first word, and what follows it after spaces."""
    word = _WORD.match(answer)
    end = word.end() if word else 0
    return answer[:end], answer[end:].lstrip()


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    name, rest = _split(text)
    value = read_json(rest, 0)
    if value is not None:
        return CallRead(len(text) - len(rest) + value[1], (checked(name, value[0], tools),))
    return CallRead(len(text), (broken(no_json("The call", rest), name),)) if final else None


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the content of an assistant's turn that makes a call; its metadata is the name."""
    return json.dumps(arguments, ensure_ascii=False)


NOTATION = CallNotation(_read, strays=("}", "]"), begins=_begins)
