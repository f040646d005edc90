"""Which tools a chat has on, as it is stored with the chat."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ToolChoice:
    """The tools switched on for one chat."""

    names: tuple[str, ...] = ()
    """The application's own, by their names in `--tools`."""
    folders: tuple[str, ...] = ()
    """Granted for reading."""
    servers: tuple[str, ...] = ()
    """MCP servers, by their names in the settings."""

    def __bool__(self) -> bool:
        return bool(self.names or self.folders or self.servers)

    def stored(self) -> str:
        """Return it as a chat's row has it; "" for none."""
        lists = {"names": self.names, "folders": self.folders, "servers": self.servers}
        return json.dumps({name: value for name, value in lists.items() if value}) if self else ""


def choice_from(stored: Any) -> ToolChoice:
    """Return what a chat's row holds; what is damaged counts as off."""
    decoded: Any = None
    with suppress(ValueError, TypeError, RecursionError):
        decoded = json.loads(stored)
    if not isinstance(decoded, dict):
        return ToolChoice()
    return ToolChoice(*(_texts(decoded.get(name)) for name in ("names", "folders", "servers")))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
