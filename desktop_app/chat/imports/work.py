"""Imports chats into the store, in a process of its own: a large export takes longer to read than a window may wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_app.chat.history import History
from desktop_app.chat.imports.reading import read_chats
from models.errors import Cancelled


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    added: int
    present: int
    """Chats that were imported before."""
    unreadable: int
    """Chats that are damaged."""


def import_chats(tell: Callable[[Any], None], stopped: Callable[[], bool], path: Path, database: Path) -> Imported:
    """Add the chats of an export to a store; each is there as a whole or not at all.

    Raises:
        BadFile: the export cannot be read, or no program that we know wrote it.
        HistoryError: the store cannot be written.
        Cancelled: it was stopped; what was added stays.
    """
    imported = read_chats(path)
    added = 0
    with closing(History(database)) as history:
        history.share()
        for number, chat in enumerate(imported.chats):
            if stopped():
                raise Cancelled("Stopped.")
            added += history.add(chat.conversation, chat.messages)
            tell((number + 1) / len(imported.chats))
    return Imported(added, len(imported.chats) - added, imported.unreadable)
