"""Which MCP servers there are: the `mcpServers` JSON that other programs use, too (VS Code calls it `servers`)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from converter.atomic_write import write_file
from desktop_app.paths import mcp_file
from models.errors import BadFile
from models.regular_file import read_regular
from models.system_reasons import system_reason
from models.untrusted_json import InvalidJSON, decode

_NAME = re.compile(r"[\w .\-]{1,64}\Z")
_HTTP = re.compile(r"https?://[^\s/]+", re.IGNORECASE)


class Server(msgspec.Struct, frozen=True, omit_defaults=True):
    """One server: a program that speaks on its standard input and output, or an address."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """Variables beside a few harmless ones of the system."""
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = {}
    disabled: bool = False

    @property
    def digest(self) -> str:
        """Tells this program or address from any other: what was allowed to it is allowed to no other."""
        identity = json.dumps([self.command, self.args, self.env, self.cwd, self.url, self.headers])
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


class _File(msgspec.Struct, frozen=True, rename={"mcp_servers": "mcpServers"}):
    mcp_servers: dict[str, Server] | None = None
    servers: dict[str, Server] | None = None


def own_servers() -> Mapping[str, Server]:
    """Return the servers of the settings, those switched off too; raises `BadFile`."""
    return read_servers(mcp_file(), disabled=True) if mcp_file().exists() else {}


def servers_switched_on() -> list[str]:
    """Return the names of those that may be used; none where the file is damaged, which is said when tools are used."""
    try:
        return [name for name, server in own_servers().items() if not server.disabled]
    except BadFile:
        return []


def save_servers(servers: Mapping[str, Server]) -> None:
    """Write the servers of the settings, for their owner's eyes: variables and headers may hold tokens. Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode({"mcpServers": dict(servers)}), indent=2)
    write_file(mcp_file(), lambda file: file.write(text), private=True)


def is_usable(name: str, server: Server) -> bool:
    """Tell whether a server has a name of ours, and either a program or an http address."""
    has_address = bool(_HTTP.match(server.url))
    return bool(_NAME.match(name)) and bool(server.command) != bool(server.url) and has_address == bool(server.url)


def read_servers(path: Path, *, disabled: bool = False) -> Mapping[str, Server]:
    """Return the servers that a file names, those switched off left out unless `disabled`.

    Raises:
        BadFile: it cannot be read, is not such JSON, or a server in it has neither a program nor an address.
    """
    try:
        decoded = decode(read_regular(path), _File)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    except InvalidJSON as error:
        raise BadFile(
            "{path} is no list of MCP servers ({reason}); correct it.", path=path, reason=error.reason
        ) from error
    servers = decoded.mcp_servers if decoded.mcp_servers is not None else decoded.servers
    if servers is None:
        raise BadFile('{path} names no MCP servers; it must hold {{"mcpServers": {{…}}}}.', path=path)
    for name, server in servers.items():
        if not is_usable(name, server):
            raise BadFile(
                "{path}: the MCP server {name} needs either a command or an http address; correct it.",
                path=path,
                name=name[:64],
            )
    return {name: server for name, server in servers.items() if disabled or not server.disabled}
