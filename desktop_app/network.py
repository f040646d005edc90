"""The offline switch, and the list of every connection that was ever made: a line of JSON each, in the data folder.

Each of our processes that has Python's sockets begins with `watch`. The engine has not: it imports no library for connections.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from converter.atomic_write import locked, write_locked
from converter.hub import permission
from converter.hub.permission import Contact, Network
from desktop_app.paths import network_file, settings_file
from desktop_app.settings import load_settings, save_settings
from models.errors import ZhiyinError
from models.system_errors import cannot_write

ASKED, OFFLINE = "asked", "offline"
_LARGEST = 4 << 20
"""Bytes of the list; then the older half goes."""
_PRIVATE: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"),
    )
)
"""What can be somebody's own; 100.64.0.0/10 is used by overlays between one's own computers."""
_LONGEST = 300
"""Characters that are kept of what was asked for."""


class Entry(msgspec.Struct, frozen=True):
    """One connection."""

    time: float
    """Seconds since 1970, when it ended."""
    host: str
    port: int
    what: str
    received: int
    """Bytes of content."""
    state: str


def watch() -> None:
    """Let the offline switch count in this process, forbid it all connections but the downloads', and keep the list."""
    permission.guard(is_offline, record, own_networks)


def is_offline() -> bool:
    """Tell whether the user wants no connection; where the settings cannot be read, whatever they said, there is none to make."""
    try:
        return load_settings(settings_file()).network == OFFLINE
    except ZhiyinError:
        return False


def own_networks() -> Sequence[Network]:
    """Return the networks that stay open in offline mode, to engines and workers that the user named."""
    try:
        return read_networks(load_settings(settings_file()).own_networks)
    except ZhiyinError:
        return ()


def read_networks(text: str) -> tuple[Network, ...]:
    """Return the networks that a text names, with commas or blanks between them, as in "192.168.1.0/24, 10.0.0.7".

    Raises:
        ZhiyinError: a word is no network, or is one of everybody's and not of the user's own.
    """
    return tuple(map(_network, text.replace(",", " ").split()))


def _network(word: str) -> Network:
    try:
        network = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise ZhiyinError(
            "{text!r} is no network; write it as 192.168.1.0/24, or one computer's address.", text=word
        ) from None
    if not any(network.subnet_of(private) for private in _PRIVATE if private.version == network.version):  # type: ignore[arg-type]
        raise ZhiyinError(
            "{text} is no network of your own: only private ones, such as 192.168.1.0/24, stay open offline.", text=word
        )
    return network


def switch(position: str | None = None, networks: str | None = None) -> None:
    """Move the switch, or change which networks stay open offline; it counts at once in every process of this data folder.

    Raises:
        ZhiyinError: the settings cannot be written, or a network cannot be allowed.
    """
    path = settings_file()
    settings = load_settings(path)
    if position is not None:
        settings.network = position
    if networks is not None:
        settings.own_networks = ", ".join(map(str, read_networks(networks)))
    try:
        save_settings(settings, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def record(contact: Contact) -> None:
    """Write a connection down; a full disk ends no download."""
    entry = Entry(time.time(), contact.host, contact.port, contact.what[:_LONGEST], contact.received, contact.state)
    with suppress(OSError, ZhiyinError):
        _append(network_file(), msgspec.json.encode(entry) + b"\n")


def connections() -> list[Entry]:
    """Return all that are written down, the oldest first; lines that are none are left out."""
    try:
        lines = network_file().read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found.append(msgspec.json.decode(line, type=Entry))
    return found


def _append(path: Path, line: bytes) -> None:
    """Add a line by one write, which the system does whole; a thread that ends in the middle leaves no lock."""
    if path.is_file() and path.stat().st_size > _LARGEST:
        with locked(path):
            text = path.read_text("utf-8", errors="replace")
            write_locked(path, text[text.index("\n", len(text) // 2) + 1 :])
    with path.open("ab", buffering=0) as file:
        file.write(line)
