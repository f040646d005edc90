"""Settings of tools: MCP servers, and lasting approvals. No window, no Qt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from shlex import split

from msgspec.structs import replace

from desktop_app.assistant.approvals import always_allowed, forget_server
from desktop_app.assistant.mcp.configuration import Server, is_usable, own_servers, read_servers, save_servers
from desktop_app.assistant.mcp.connection import Connection
from desktop_app.assistant.mcp.library_log import log_name
from desktop_app.paths import log_file
from models.errors import BadFile

_LONGEST_LOG = 200_000


def import_servers(path: Path) -> list[str]:
    """Take over the servers that another program's file names, switched off until the user switches them on.

    Returns:
        their names; one that is taken counts on.

    Raises:
        BadFile: it is no such file.
        OSError: the settings cannot be written.
    """
    others = read_servers(path, disabled=True)
    servers = dict(own_servers())
    names = []
    for name, imported in others.items():
        server = replace(imported, disabled=True)
        if any(replace(other, disabled=True) == server for other in servers.values()):
            continue
        free = _free(name, servers)
        servers[free] = server
        names.append(free)
    save_servers(servers)
    return names


def add_server(name: str, line: str) -> None:
    """Add a server: a program with its arguments, or an address. Raises `BadFile`, OSError."""
    servers = dict(own_servers())
    servers[_free(name, servers)] = server_from(name, line)
    save_servers(servers)


def server_from(name: str, line: str) -> Server:
    """Return what a line says; raises `BadFile` where it names neither a program nor an address."""
    line = line.strip()
    if line.lower().startswith(("http://", "https://")):
        server = Server(url=line)
    else:
        try:
            command, *arguments = split(line, posix=os.name != "nt") or [""]
        except ValueError:  # a quotation mark without its partner
            command, arguments = "", []
        server = Server(command=command, args=tuple(arguments))
    if not is_usable(name, server):
        raise BadFile(
            "The MCP server {name} needs a name of letters and digits, and either a program or an http address.",
            name=name,
        )
    return server


def switch_server(name: str, *, on: bool) -> None:
    """Let a server be used, or not; raises OSError."""
    servers = dict(own_servers())
    if name in servers:
        servers[name] = replace(servers[name], disabled=not on)
        save_servers(servers)


def remove_server(name: str) -> None:
    """Remove a server with what was allowed of it; raises OSError."""
    save_servers({other: server for other, server in own_servers().items() if other != name})
    forget_server(name)


def tools_of(name: str, server: Server) -> list[str]:
    """Connect a server and return its tools' names, each with what it says of itself; raises `ServerFailed`."""
    connection = Connection(name, server)
    try:
        return [f"{tool.name}: {tool.description}" for tool in connection.tools]
    finally:
        connection.close()


def log_of(name: str) -> str:
    """Return the end of what a server wrote into its log."""
    try:
        with log_file(log_name(name)).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LONGEST_LOG))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def allowed() -> list[str]:
    """Return the keys of what may always be done without asking."""
    return sorted(always_allowed().read())


def ask_again(key: str) -> None:
    """Ask again before a tool is used; raises OSError."""
    always_allowed().change(lambda keys: keys - {key})


def _free(name: str, servers: Mapping[str, Server]) -> str:
    number, free = 1, name
    while free in servers:
        number += 1
        free = f"{name} {number}"
    return free
