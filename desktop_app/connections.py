"""The list of every connection that was ever made: a line of JSON each, in the data folder."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import msgspec

from converter.atomic_write import locked, write_locked
from converter.hub.permission import Contact
from desktop_app.paths import network_file
from models.errors import ZhiyinError

_LARGEST = 4 << 20
"""Bytes of the list; then the older half goes."""
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
    entries = []
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            entries.append(msgspec.json.decode(line, type=Entry))
    return entries


def _append(path: Path, line: bytes) -> None:
    """Add a line by one write, which the system does whole; a thread that ends in the middle leaves no lock."""
    if path.is_file() and path.stat().st_size > _LARGEST:
        with locked(path):
            text = path.read_text("utf-8", errors="replace")
            write_locked(path, text[text.index("\n", len(text) // 2) + 1 :])
    with path.open("ab", buffering=0) as file:
        file.write(line)
