"""Menus of a chat in the list, and of a folder."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QWidget

from desktop_app.chat.folders import Folder
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon


class ChatMenu(QMenu):
    """Of one chat."""

    renaming = Signal()
    exporting = Signal()
    deleting = Signal()
    pinning = Signal(bool)
    moving = Signal(object)
    """The id of a folder; None: out of all."""
    making_folder = Signal()

    def __init__(self, folders: Sequence[Folder], folder: str | None, pinned: bool, parent: QWidget) -> None:
        """`folder`: the id of that which the chat is in."""
        super().__init__(parent)
        muted = theme.current().muted
        self.addAction(icon("edit", muted), self.tr("Rename")).triggered.connect(self.renaming)
        pin = self.addAction(icon("pin", muted), self.tr("Unpin") if pinned else self.tr("Pin"))
        pin.triggered.connect(lambda: self.pinning.emit(not pinned))
        self._add_folders(folders, folder)
        self.addAction(icon("export", muted), self.tr("Export…")).triggered.connect(self.exporting)
        self.addAction(icon("delete", muted), self.tr("Delete")).triggered.connect(self.deleting)

    def _add_folders(self, folders: Sequence[Folder], folder: str | None) -> None:
        menu = self.addMenu(icon("folder", theme.current().muted), self.tr("Move to"))
        for one in folders:
            action = menu.addAction(one.name.replace("&", "&&"))  # Qt would take it for the mark of a key
            action.setCheckable(True)
            action.setChecked(one.id == folder)
            action.triggered.connect(lambda _=False, to=one.id: self.moving.emit(to))
        if folder is not None:
            menu.addAction(self.tr("No folder")).triggered.connect(lambda: self.moving.emit(None))
        if not menu.isEmpty():
            menu.addSeparator()
        menu.addAction(self.tr("New folder")).triggered.connect(self.making_folder)


class FolderMenu(QMenu):
    """Of one folder."""

    renaming = Signal()
    removing = Signal()

    def __init__(self, parent: QWidget) -> None:
        """Offer what there is."""
        super().__init__(parent)
        muted = theme.current().muted
        self.addAction(icon("edit", muted), self.tr("Rename")).triggered.connect(self.renaming)
        self.addAction(icon("delete", muted), self.tr("Remove folder, keep its chats")).triggered.connect(self.removing)
