"""Which tools a chat has: named in the terminal's `--tools`, or switched on in the window."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from desktop_app.assistant.mcp.configuration import Server
from desktop_app.assistant.mcp.connection import Connection, ServerFailed
from desktop_app.assistant.mcp.media import kept
from desktop_app.assistant.tool import Tool
from desktop_app.assistant.tool_names import CALCULATOR, CLOCK, FILES, NAMES, PYTHON, WRITE
from desktop_app.assistant.tools.calculator import calculator
from desktop_app.assistant.tools.clock import clock
from desktop_app.assistant.tools.folders import Folders
from desktop_app.assistant.tools.python import Interpreter
from desktop_app.assistant.tools.workspace import workspace
from desktop_app.paths import remove_if_empty
from models.errors import BadFile, ZhiyinError

_ODD = r"[^A-Za-z0-9_.\-]"
"""What no name of a tool has."""
_LONGEST = 128


@dataclass(frozen=True)
class Chosen:
    """The tools that are on."""

    names: tuple[str, ...] = ()
    """Some of `NAMES`."""
    folders: tuple[Path, ...] = ()
    """Granted for reading."""


def chosen_from(text: str) -> Chosen:
    """Return what `calculator,files=FOLDER` asks for; raises `ZhiyinError`."""
    names: list[str] = []
    folders: list[Path] = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        if name not in NAMES or bool(equals) != (name == FILES):
            raise ZhiyinError(
                "There is no tool {name}; choose among {names} (files needs its folder: files=FOLDER).",
                name=part,
                names=", ".join(NAMES),
            )
        if equals:
            folders.append(_granted(Path(value).expanduser()))
        names.append(name)
    return Chosen(tuple(dict.fromkeys(names)), tuple(folders))


@dataclass
class Toolbox:
    """A chat's tools, with what they keep open."""

    own: Sequence[Tool]
    work_folder: Path
    interpreter: Interpreter | None = None
    connections: list[Connection] = field(default_factory=list)
    servers: Mapping[str, Server] = field(default_factory=dict)
    on_failure: Callable[[ServerFailed], None] = lambda failure: None

    @property
    def tools(self) -> list[Tool]:
        """All tools; servers may offer other ones from one moment to the next."""
        offered = [kept(tool, self.work_folder) for connection in self.connections for tool in connection.tools]
        return without_duplicates([*self.own, *offered])

    def renew(self) -> None:
        """Connect the servers again that have ended; `on_failure` hears of each that cannot be, once."""
        for ended in [connection for connection in self.connections if not connection.is_alive]:
            self.connections.remove(ended)
            try:
                self.connections.append(Connection(ended.name, self.servers[ended.name]))
            except ServerFailed as failure:
                self.on_failure(failure)

    def close(self) -> None:
        """End the processes of tools; a work folder without a file that anybody sees is removed."""
        for connection in self.connections:
            connection.close()
        if self.interpreter is not None:
            self.interpreter.close()
        remove_if_empty(self.work_folder)


def open_toolbox(
    chosen: Chosen, work_folder: Path, servers: Mapping[str, Server], on_failure: Callable[[ServerFailed], None]
) -> Toolbox:
    """Return the tools that are on.

    Args:
        chosen: the application's own; Python may read the granted folders, too.
        work_folder: the chat's.
        servers: MCP servers, which are connected.
        on_failure: hears of each that cannot be; the others' tools are there.
    """
    interpreter = Interpreter(work_folder, chosen.folders) if PYTHON in chosen.names else None
    tools = [*built_in(chosen, work_folder), *((interpreter.tool(),) if interpreter else ())]
    toolbox = Toolbox(tools, work_folder, interpreter, servers=servers, on_failure=on_failure)
    try:
        for name, server in servers.items():
            try:
                toolbox.connections.append(Connection(name, server))
            except ServerFailed as failure:
                on_failure(failure)
    except BaseException:  # Ctrl+C
        toolbox.close()
        raise
    return toolbox


def built_in(chosen: Chosen, work_folder: Path) -> list[Tool]:
    """Return the application's own tools that are on, Python left out."""
    tools: list[Tool] = []
    if CALCULATOR in chosen.names:
        tools.append(calculator())
    if CLOCK in chosen.names:
        tools.append(clock())
    if chosen.folders:
        tools += Folders(chosen.folders).tools()
    if WRITE in chosen.names:
        tools.append(workspace(work_folder))
    return tools


def without_duplicates(tools: Sequence[Tool]) -> list[Tool]:
    """Return tools whose names differ: a later one of a name that is taken gets its source in front, then a number behind."""
    result: dict[str, Tool] = {}
    for tool in tools:
        named = f"{re.sub(_ODD, '_', tool.source)}_{tool.name}"[:_LONGEST]
        numbered = (f"{named}_{number}" for number in count(2))
        name = next(name for name in chain((tool.name, named), numbered) if name not in result)
        result[name] = replace(tool, name=name)
    return list(result.values())


def _granted(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadFile("{path} is no folder; name one that is there.", path=folder)
    return folder.resolve()
