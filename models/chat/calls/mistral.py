"""Mistral's calls: `[TOOL_CALLS]` and a list of objects, or since late 2024 name, perhaps an id, and JSON behind one mark each.

Sources: the templates of mistralai/Mistral-Nemo-Instruct-2407, Mistral-Small-3.2-24B-Instruct-2506 and
Ministral-3-14B-Reasoning-2512; mistralai/mistral-common, tokens/tokenizers/instruct.py.
"""

from __future__ import annotations

import re

from models.chat.calls.json_calls import calls_of
from models.chat.calls.notation import CallNotation, CallRead, Tools, after_space, broken, checked, no_json, read_json

_CALLS, _ID, _ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_HEAD = re.compile(r"\s*(?P<name>[\w.\-]+)\s*(?:\[CALL_ID\](?P<id>\w*))?\s*(?:\[ARGS\])?\s*(?=\{)")


def _read(text: str, tools: Tools, final: bool) -> CallRead | None:
    """Read what follows one mark."""
    at = after_space(text, len(_CALLS))
    head = _HEAD.match(text, at)
    start = head.end() if head else at
    # Another value than an object or a list may be a name that its object still follows.
    value = read_json(text, start) if text[start : start + 1] in ("{", "[") else None
    if value is None:
        if not final:
            return None
        return CallRead(len(text), (broken(no_json("The call", text, start), head["name"] if head else ""),))
    if head:
        return CallRead(value[1], (checked(head["name"], value[0], tools, head["id"]),))
    return CallRead(value[1], calls_of(value[0], tools))


MISTRAL = CallNotation(_read, (_CALLS,), closings=(_ID, _ARGUMENTS), strays=("}", "]"), marks=(_CALLS, _ID, _ARGUMENTS))
REASONING = {"[THINK]": "<think>", "[/THINK]": "</think>"}
"""The control tokens around the reasoning of Magistral and Ministral 3, and what stands for them in a reply's text."""
