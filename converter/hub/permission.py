"""Permission to open network connections: refused to code that has none, and to all code in offline mode.

`guard` installs an audit hook (PEP 578) in a process, which hears of every connection and every name that Python's sockets are
asked for, whatever library asks. What connects from native code is not loaded at all (docs/connections.md: Xet). Connections
inside this computer (asyncio makes some of itself) are nobody's business. What the user allowed of the own network stays open in
offline mode to code that asks for it (`permitted(own_network=True)`).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Contact:
    """One request to another computer, at its end."""

    host: str
    port: int
    what: str
    """What was asked for: the path of the address, without anything secret."""
    received: int
    """Bytes of content."""
    state: str
    """done, or failed: no answer, or not the whole one."""


_FOREIGN_SOCKETS = ("hf_xet",)
"""Modules that connect from native code, which no audit hook hears: they honour no switch, list, proxy or limit of ours."""
SWITCH = "network"
"""How the offline switch is named among the settings that forbid connections."""


class _Gate:
    """The connection policy of this process."""

    def __init__(self) -> None:
        self.installed = False
        self.is_offline: Callable[[], bool] = lambda: False
        self.listener: Callable[[Contact], None] = lambda contact: None
        self.own_networks: Callable[[], Sequence[Network]] = tuple


_gate = _Gate()
_permitted: ContextVar[bool] = ContextVar("permitted", default=False)
_own_network: ContextVar[bool] = ContextVar("own_network", default=False)


@contextmanager
def permitted(*, own_network: bool = False) -> Iterator[None]:
    """Let what runs inside connect to other computers, in this thread or task.

    Args:
        own_network: in offline mode too, to those of the networks that the user allowed.
    """
    token, own = _permitted.set(True), _own_network.set(own_network)
    try:
        yield
    finally:
        _permitted.reset(token)
        _own_network.reset(own)


def permit_thread() -> None:
    """Let this thread connect to other computers for its whole life: pools of threads inherit no permission."""
    _permitted.set(True)


def guard(
    is_offline: Callable[[], bool],
    listener: Callable[[Contact], None],
    own_networks: Callable[[], Sequence[Network]] = tuple,
) -> None:
    """Forbid this process every connection without permission, and every one while the user wants none; for its whole life.

    Args:
        is_offline: asked before each connection.
        listener: told of each request.
        own_networks: what the user allowed in offline mode, asked before each connection then.
    """
    _gate.is_offline, _gate.listener, _gate.own_networks = is_offline, listener, own_networks
    if not _gate.installed:
        _gate.installed = True
        sys.addaudithook(_hear)


def switched_off() -> bool:
    """Tell whether the user wants no connection."""
    return _gate.is_offline()


def note(contact: Contact) -> None:
    """Tell who keeps the list of connections of a request that ended."""
    _gate.listener(contact)


def host_of(event: str, arguments: tuple[Any, ...]) -> Any:
    """Return the name or address that `socket.connect` or `socket.getaddrinfo` asks for; None: none on a network."""
    if event == "socket.getaddrinfo":
        return arguments[0]
    connected, address = arguments
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return address[0] if isinstance(address, tuple) else address


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        _check(host_of(event, arguments))
    elif event == "import" and arguments[0] in _FOREIGN_SOCKETS:
        raise ImportError(f"{arguments[0]} connects without Zhiyin's offline switch and list of connections")


def _check(host: Any) -> None:
    """Raise where this host must not be asked or looked up now."""
    if is_this_computer(host) or (_permitted.get() and not _gate.is_offline()):
        return
    if _permitted.get() and _own_network.get() and in_own_network(host):
        return
    reason = "the offline switch is on" if _gate.is_offline() else "no part of Zhiyin but its downloads may"
    raise PermissionError(errno.EACCES, f"no connection to {host}: {reason}")


def is_this_computer(host: Any) -> bool:
    """Tell whether a name or an address is this computer's own."""
    text = _text(host)
    if text is None or text == "localhost":
        return True
    address = address_in(text)
    return address is not None and bool(address.is_loopback or address.is_unspecified)


def in_own_network(host: Any) -> bool:
    """Tell whether an address lies in a network that the user allowed; a name never does, since looking it up asks others."""
    address = address_in(_text(host) or "")
    return address is not None and any(
        address in network for network in _gate.own_networks() if network.version == address.version
    )


def address_in(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, an IPv4 one also where it is written as IPv6; None: it is a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _text(host: Any) -> str | None:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else None if host is None else str(host)
