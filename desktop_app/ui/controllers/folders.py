"""Folders of the list of chats: made, named, ordered, opened and removed; chats are moved into them and pinned."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from desktop_app.chat.folders import Arrangement, Folder, arranged, moved
from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.chat.chat_session import ChatSession


class FolderController(QObject):
    """The folders, and which chats are where."""

    changed = Signal()
    added = Signal(str)
    """A folder that was made just now, by its id."""

    def __init__(self, chats: ChatSession, history: HistoryBridge, parent: QObject | None = None) -> None:
        """Read what there is."""
        super().__init__(parent)
        self._chats, self._history = chats, history
        self._folders: dict[str, Folder] = {}
        history.folders(self._list)

    @property
    def folders(self) -> list[Folder]:
        """All folders, in order."""
        return sorted(self._folders.values(), key=lambda folder: folder.position)

    @property
    def arrangement(self) -> Arrangement:
        """The chats as the list shows them."""
        return arranged(self._chats.list.conversations, self.folders)

    def add(self, name: str) -> Folder:
        """Make a folder below the others."""
        folder = Folder(name.strip(), len(self._folders))
        self._store([folder])
        return folder

    def add_with(self, conversation: str, name: str) -> None:
        """Make a folder with a chat in it, whose name the user may then write."""
        folder = self.add(name)
        self.move(conversation, folder.id)
        self.added.emit(folder.id)

    def rename(self, folder: str, name: str) -> None:
        """Give a folder another name."""
        if name.strip():
            self._store([replace(self._folders[folder], name=name.strip())])

    def close(self, folder: str) -> None:
        """Hide a folder's chats, or show them again."""
        self._store([replace(self._folders[folder], closed=not self._folders[folder].closed)])

    def move_folder(self, folder: str, to: int) -> None:
        """Put a folder at another place among them."""
        self._store(moved(self.folders, folder, to))

    def remove(self, folder: str) -> None:
        """Remove a folder; its chats stay, outside of it."""
        del self._folders[folder]
        for chat in self._chats.list.conversations:
            if chat.folder == folder:
                self._chats.list.change(chat.id, folder=None)
        self._history.delete_folder(folder)
        self.changed.emit()

    def move(self, conversation: str, folder: str | None) -> None:
        """Put a chat into a folder, or out of all."""
        self._chats.list.change(conversation, folder=folder)

    def pin(self, conversation: str, pinned: bool) -> None:
        """Keep a chat above all others, or no longer."""
        self._chats.list.change(conversation, pinned=pinned)

    def _list(self, folders: list[Folder]) -> None:
        for folder in folders:
            self._folders.setdefault(folder.id, folder)
        self.changed.emit()

    def _store(self, folders: list[Folder]) -> None:
        self._folders.update((folder.id, folder) for folder in folders)
        self._history.save_folders(self.folders)
        self.changed.emit()
