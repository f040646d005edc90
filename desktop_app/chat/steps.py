"""The steps of an assistant as messages of a chat: calls are facts of the assistant's message, each result is a message below it.

A call has a message from the moment it begins, so that whoever opens the chat after a kill knows what was begun. A result that
was cut off is never tried again: the tool may have done its work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desktop_app.chat.conversation import Message, State
from desktop_app.chat.table import Table, table_from
from desktop_app.engine.results import Reply

_INTERRUPTED = (
    "The call was cut off when the application ended; whether it did anything is not known. It was not made again."
)
_STOPPED = "The user stopped this call."
NOT_MADE = "This call was not made."
"""What the model reads of a call that has no message."""


@dataclass(frozen=True)
class Call:
    """A call that a model made, as it is stored."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    fault: str = ""

    def stored(self) -> dict[str, Any]:
        """Return it as a fact of a message."""
        fault = {"fault": self.fault} if self.fault else {}
        return {"id": self.id, "name": self.name, "arguments": dict(self.arguments), **fault}

    def openai(self) -> dict[str, Any]:
        """Return it as OpenAI's API writes it."""
        arguments = json.dumps(self.arguments, ensure_ascii=False)
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


def calls_of_reply(reply: Reply, taken: int) -> list[Call]:
    """Return the calls of a reply; `taken`: how many the chat has already, which their ids count on from."""
    calls = []
    for number, call in enumerate(reply.tool_calls, taken):
        function = call.get("function") or {}
        arguments = json.loads(function.get("arguments") or "{}")
        calls.append(
            Call(f"call{number:05d}", str(function.get("name") or "unknown"), arguments, str(call.get("fault") or ""))
        )
    return calls


def calls_of(message: Message) -> list[Call]:
    """Return the calls that a stored message made; what is damaged in them is left out."""
    stored = message.facts.get("tool_calls") if message.role == "assistant" else None
    calls = stored if isinstance(stored, list) else []
    return [
        Call(str(call.get("id", "")), str(call.get("name", "")), call["arguments"], str(call.get("fault", "")))
        for call in calls
        if isinstance(call, dict) and isinstance(call.get("arguments"), dict)
    ]


def begin_call(call: Call, parent: Message, source: str) -> Message:
    """Return the message of a call that begins; `source`: the MCP server whose tool it is, "" for our own."""
    facts = {"call": call.id, "tool": call.name, "source": source, "arguments": dict(call.arguments)}
    return Message(parent.conversation, parent.id, "tool", "", state="streaming", facts=facts)


def ended(
    message: Message, text: str, state: State, seconds: float, files: Sequence[Path] = (), tables: Sequence[Table] = ()
) -> Message:
    """Return the message of a call that ended, done, failed or stopped, after running so many seconds."""
    facts = {
        **message.facts,
        "seconds": seconds,
        "files": [str(path) for path in files],
        "tables": [table.stored() for table in tables],
    }
    return replace(message, content=text, state=state, facts=facts)


def result_text(message: Message) -> str:
    """Return what the model reads of a call's message."""
    if message.state == "interrupted":
        return f"{message.content}\n{_INTERRUPTED}".strip()
    return message.content or (_STOPPED if message.state == "stopped" else "")


def files_of(message: Message) -> list[Path]:
    """Return the files that a call made and that are there still."""
    stored = message.facts.get("files")
    paths = [Path(name) for name in stored if isinstance(name, str)] if isinstance(stored, list) else []
    return [path for path in paths if path.is_file()]


def tables_of(message: Message) -> list[Table]:
    """Return the tables that a call gave; what is damaged in them is left out."""
    stored = message.facts.get("tables")
    tables = stored if isinstance(stored, list) else []
    return [table for table in map(table_from, tables) if table is not None]


def open_calls(path: Sequence[Message]) -> tuple[Message, list[Call]] | None:
    """Return the last assistant's message of a branch whose calls have no message yet, and those calls; None: there are none."""
    at = next((number for number in range(len(path) - 1, -1, -1) if path[number].role != "tool"), None)
    if at is None or not (calls := calls_of(path[at])):
        return None
    made = {message.facts.get("call") for message in path[at + 1 :]}
    return path[at], [call for call in calls if call.id not in made]


def is_unfinished(path: Sequence[Message]) -> bool:
    """Tell whether a branch ends in the middle of an assistant's work, which can go on."""
    branch = resumable(path)
    return bool(branch) and (branch[-1].role == "tool" or bool(calls_of(branch[-1])))


def resumable(path: Sequence[Message]) -> list[Message]:
    """Return a branch without a reply at its end that was cut off: it is written anew, as another version."""
    cut = bool(path) and path[-1].role == "assistant" and path[-1].state != "done"
    return list(path[:-1] if cut else path)
