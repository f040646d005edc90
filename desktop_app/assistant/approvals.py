"""Who may do what: a tool that changes something runs only after the user said so, once, for the chat or for good.

What a model or a tool says never approves anything: decisions come from `ask` alone. They are remembered by the tool's key, which
for a tool of an MCP server has the server's program or address in it: another one of the same name is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from desktop_app import reports
from desktop_app.assistant.tool import Tool
from desktop_app.paths import approvals_file
from desktop_app.small_files import Parsed, SmallFile
from models.errors import ZhiyinError
from models.system_reasons import system_reason

Decision = Literal["once", "chat", "always", "refuse"]


@dataclass(frozen=True)
class Asked:
    """An action that the user is asked to approve, exactly as it would be done."""

    tool: Tool
    arguments: Mapping[str, Any]


def always_allowed() -> SmallFile[frozenset[str]]:
    """Return the file of what is allowed for good."""
    return SmallFile(approvals_file(), frozenset, _parsed, lambda keys: {"always": sorted(keys)})


def forget_server(name: str) -> None:
    """Forget what was allowed of an MCP server; raises OSError."""
    always_allowed().change(lambda keys: frozenset(key for key in keys if not key.startswith(f"{name}#")))


def remember_allowed(key: str) -> None:
    """Remember that a tool may always be used; where that cannot be written, it is said, and asked again the next time."""
    try:
        always_allowed().change(lambda keys: keys | {key})
    except OSError as error:
        reports.say(
            ZhiyinError("{path} cannot be written: {reason}.", path=approvals_file(), reason=system_reason(error))
        )


def _parsed(stored: Any) -> Parsed[frozenset[str]]:
    keys = stored["always"]
    good = frozenset(key for key in keys if isinstance(key, str))
    return Parsed(good, is_complete=len(good) == len(keys))


@dataclass
class Approvals:
    """The approvals given."""

    ask: Callable[[Asked], Decision]
    """Waits for the user; "refuse" where nobody is there."""
    always: set[str] = field(default_factory=set)
    """`Tool.key` of those that are allowed for good."""
    remember: Callable[[str], None] = lambda key: None
    """Hears of each that comes to `always`."""
    chat: set[str] = field(default_factory=set)
    """The same, for this chat."""

    def allows(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Tell whether a call may be made, asking the user where nothing says so."""
        if not tool.changes or tool.key in self.always or tool.key in self.chat:
            return True
        decision = self.ask(Asked(tool, arguments))
        if decision == "always":
            self.always.add(tool.key)
            self.remember(tool.key)
        elif decision == "chat":
            self.chat.add(tool.key)
        return decision != "refuse"
