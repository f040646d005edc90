"""Who may do what: a tool that changes something runs only after the user said so, once, for the chat or for good.

What a model or a tool says never approves anything: decisions come from `ask` alone, and are remembered by the tool's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from desktop_app.assistant.tool import Tool

Decision = Literal["once", "chat", "always", "refuse"]


@dataclass(frozen=True)
class Asked:
    """What the user is asked to allow: exactly what would be done."""

    tool: Tool
    arguments: Mapping[str, Any]


@dataclass
class Approvals:
    """What was allowed."""

    ask: Callable[[Asked], Decision]
    """Waits for the user; "refuse" where nobody is there."""
    always: set[str] = field(default_factory=set)
    """`Tool.key` of those that are allowed for good."""
    remember: Callable[[set[str]], None] = lambda always: None
    """Hears of `always` when it grows."""
    chat: set[str] = field(default_factory=set)
    """The same, for this chat."""

    def allows(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Tell whether a call may be made, asking the user where nothing says so."""
        if not tool.changes or tool.key in self.always or tool.key in self.chat:
            return True
        decision = self.ask(Asked(tool, arguments))
        if decision == "always":
            self.always.add(tool.key)
            self.remember(self.always)
        elif decision == "chat":
            self.chat.add(tool.key)
        return decision != "refuse"
