"""The interface of a tool: its description for the model, its execution, its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.chat.table import Table
from models.errors import ZhiyinError
from models.sentence import Sentence

Output = Callable[[str], None]
"""Hears of what a tool writes while it runs."""


class ToolFailed(ZhiyinError):
    """A tool could not do what it was asked; the sentence is the call's result, for the model and the reader."""

    default_code = "tool-failed"


@dataclass(frozen=True)
class Picture:
    """A picture that a call gave, which is no file yet."""

    data: bytes
    mark: str
    """What stands for it in the result's text."""


@dataclass(frozen=True)
class ToolResult:
    """The result of a call."""

    text: str
    """What the model reads: data, never markup."""
    files: tuple[Path, ...] = ()
    """Figures and other files that were made."""
    failed: bool = False
    tables: tuple[Table, ...] = ()
    """For the user, who reads numbers in rows and columns more easily."""
    pictures: tuple[Picture, ...] = ()
    """Become files in the chat's folder."""


@dataclass(frozen=True)
class Tool:
    """One tool that can be offered to a model."""

    name: str
    description: str
    """For the model."""
    parameters: Mapping[str, Any]
    """The JSON schema of its arguments."""
    run: Callable[[Mapping[str, Any], threading.Event, Output], ToolResult]
    """(arguments, stop, output) -> result; ends soon after `stop` is set. May raise `ToolFailed`."""
    changes: bool = False
    """It changes something outside the chat: the user is asked first."""
    source: str = ""
    """Whose it is: "" for the application's own, else the MCP server's name."""
    identity: str = ""
    """Tells it from every other tool where its name and source do not."""
    effect: Callable[[Mapping[str, Any]], Sentence] | None = None
    """What a call would do, in the application's own words, for the user who is asked."""

    @property
    def key(self) -> str:
        """The key of approvals; independent of the tool's own description."""
        return self.identity or f"{self.source}/{self.name}"

    def offer(self) -> dict[str, Any]:
        """Return it as OpenAI's API offers tools."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


def text_argument(arguments: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text among a call's arguments; raises `ToolFailed`."""
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ToolFailed("The argument {name} must be a text.", name=name)
    return value


def schema(required: tuple[str, ...] = (), /, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
