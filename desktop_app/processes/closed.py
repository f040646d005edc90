"""Processes of ours that have no business with a network: whatever in them asks for a connection or a name is refused."""

from __future__ import annotations

import errno
import sys
from typing import Any


def forbid_connections() -> None:
    """Refuse this process every connection to another computer that Python's sockets are asked for, for its whole life."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    from converter.hub.permission import host_of, is_this_computer  # most of these processes never import sockets

    host = host_of(event, arguments)
    if not is_this_computer(host):
        raise PermissionError(errno.EACCES, f"no connection to {host}: this process makes none")
