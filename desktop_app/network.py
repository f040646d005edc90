"""The offline switch; `connections.py` has the list of what was connected.

Each of our processes that may connect begins with `watch`; the others are closed (`processes/closed.py`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from converter.hub import permission
from converter.hub.permission import Contact, Network
from converter.hub.speed_limit import LIMIT
from desktop_app.paths import settings_file
from desktop_app.settings import load_settings, save_settings
from models.errors import ZhiyinError
from models.system_errors import cannot_write

ONLINE, ASKED, OFFLINE = POSITIONS = ("online", "asked", "offline")
"""online: the window also looks by itself whether models were published anew, and asks a host for words as they are typed; asked:
connections for what the user asks for, and for nothing else; offline: none."""
_MEGABIT = 125_000
"""Bytes."""
_PRIVATE: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"),
    )
)
"""What can be somebody's own; 100.64.0.0/10 is used by overlays between one's own computers."""


def watch() -> None:
    """Let the offline switch count in this process, forbid it all connections but the downloads', and keep the list."""
    permission.guard(is_offline, _record, own_networks)
    LIMIT.follow(bytes_per_second)


def bytes_per_second() -> float:
    """Return how fast downloads may be; 0: as fast as they are."""
    try:
        return load_settings(settings_file()).download_limit * _MEGABIT
    except ZhiyinError:
        return 0.0


def position() -> str:
    """Return where the switch stands: one of `POSITIONS`; the usual one where the settings cannot be read."""
    try:
        return load_settings(settings_file()).network
    except ZhiyinError:
        return ASKED


def is_offline() -> bool:
    """Tell whether the user wants no connection."""
    return position() == OFFLINE


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


def switch(to: str | None = None, networks: str | None = None) -> None:
    """Move the switch, or change which networks stay open offline; it counts at once in every process of this data folder.

    Raises:
        ZhiyinError: the settings cannot be written, or a network cannot be allowed.
    """
    path = settings_file()
    settings = load_settings(path)
    if to is not None:
        settings.network = to
    if networks is not None:
        settings.own_networks = ", ".join(map(str, read_networks(networks)))
    try:
        save_settings(settings, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _record(contact: Contact) -> None:
    from desktop_app.connections import record  # few processes ever make one

    record(contact)
