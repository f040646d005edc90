"""Folders of the list of chats, and the order in which chats are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from desktop_app.chat.attachment import new_id
from desktop_app.chat.conversation import Conversation


@dataclass(frozen=True)
class Folder:
    """One folder; a chat says in which it is (`Conversation.folder`)."""

    name: str
    position: int = 0
    """Among the folders, from 0."""
    closed: bool = False
    """Its chats are not listed."""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Arrangement:
    """All chats where the list shows them; in each place the last used is first."""

    pinned: list[Conversation]
    folders: list[tuple[Folder, list[Conversation]]]
    others: list[Conversation]

    @property
    def is_empty(self) -> bool:
        """There is no chat at all."""
        return not (self.pinned or self.others or any(chats for _, chats in self.folders))


def arranged(chats: Iterable[Conversation], folders: Iterable[Folder]) -> Arrangement:
    """Put chats where they belong: a pinned one is listed above all others, wherever it is kept."""
    newest = sorted(chats, key=lambda chat: chat.updated, reverse=True)
    ordered = sorted(folders, key=lambda folder: folder.position)
    known = {folder.id for folder in ordered}
    free = [chat for chat in newest if not chat.pinned]
    return Arrangement(
        [chat for chat in newest if chat.pinned],
        [(folder, [chat for chat in free if chat.folder == folder.id]) for folder in ordered],
        [chat for chat in free if chat.folder not in known],
    )


def moved(folders: Sequence[Folder], folder: str, to: int) -> list[Folder]:
    """Return the folders in order with one of them at another place, each with its new position."""
    ordered = sorted(folders, key=lambda one: one.position)
    [taken] = [one for one in ordered if one.id == folder]
    ordered.remove(taken)
    ordered.insert(to, taken)
    return [Folder(one.name, position, one.closed, one.id) for position, one in enumerate(ordered)]
