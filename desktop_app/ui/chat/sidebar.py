"""The list of chats, by day, with a search in their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QIcon, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.chat.conversation import Conversation
from desktop_app.chat.folders import Arrangement
from desktop_app.ui.chat.chat_list import CHAT, FOLDER, PINNED, ChatList, heading, two_lines
from desktop_app.ui.chat.chat_menu import ChatMenu, FolderMenu
from desktop_app.ui.chat.replies import Activity
from desktop_app.ui.i18n.formats import day_group, with_keys
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import IconButton, icon

if TYPE_CHECKING:
    from desktop_app.chat.history import Found

_PAUSE_MS = 200
_LONGEST_SEARCH = 200
_MARK = 14
"""Pixels of the icon in front of a busy chat."""


@dataclass(frozen=True)
class _Row:
    """The contents of a row of the list."""

    chat: str
    """Its id; "": the row is a heading."""
    text: str
    folder: str = ""
    closed: bool = False
    pinned: bool = False


class Sidebar(QFrame):
    """Opens, renames and deletes chats."""

    new_asked = Signal()
    catalogue_asked = Signal()
    opened = Signal(str)
    found_opened = Signal(str, str, str)
    """A chat that was found is to be shown at a message with the words that were searched for: ids and words."""
    renamed = Signal(str, str)
    deleted = Signal(str)
    export_asked = Signal(str)
    searched = Signal(str)
    """The user pauses in writing a search; `show_found` answers it."""
    left = Signal()
    """The search is given up: the keyboard may go back to the message."""
    settings_asked = Signal()
    trash_asked = Signal()
    transfer_asked = Signal()
    """Chats of other programs, backups."""
    pinned = Signal(str, bool)
    moved = Signal(str, object)
    """A chat's id and that of the folder it goes into; None: out of all."""
    folder_asked = Signal(str, str)
    """A chat that goes into a new folder, and the name which that has until the user writes another."""
    folder_renamed = Signal(str, str)
    folder_closed = Signal(str)
    """A folder's heading was clicked: its chats are hidden, or shown again."""
    folder_moved = Signal(str, int)
    folder_removed = Signal(str)
    done = Signal()
    """Something was done in the list with keys or its menu: the keyboard may go back to the message."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setFixedWidth(248)
        self._arrangement = Arrangement([], [], [])
        self._current: str | None = None
        self._found: Mapping[str, Found] | None = None
        """The chats that the search found; None: there is no search."""
        self._activity: Mapping[str, Activity] = {}
        self._shown: list[_Row] = []
        self._new = QPushButton()
        self._new.setObjectName("newChat")
        self._new.clicked.connect(self.new_asked)
        self._models = QPushButton()
        self._models.setObjectName("getModels")
        self._models.clicked.connect(self.catalogue_asked)
        self._search = _Search()
        self._search.textChanged.connect(self._search_changed)
        self._search.returnPressed.connect(self._open_first)
        self._search.down.connect(self._enter_list)
        self._search.given_up.connect(self._give_up)
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(lambda: self.searched.emit(self._search.text().strip()))
        self._list = self._make_list()
        self._empty = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._empty.setObjectName("sidebarEmpty")
        self._name = QLabel("知音 Zhiyin")
        self._name.setObjectName("brand")
        self._trash = IconButton("delete")
        self._trash.clicked.connect(self.trash_asked)
        self._transfer = IconButton("import")
        self._transfer.clicked.connect(self.transfer_asked)
        self._settings = IconButton("settings")
        self._settings.clicked.connect(self.settings_asked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 8)
        layout.setSpacing(8)
        layout.addWidget(self._new)
        layout.addWidget(self._search)
        layout.addWidget(self._list, 1)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self._models)
        layout.addLayout(self._footer())
        self._retranslate()
        self.show_list(self._arrangement, None)

    def _footer(self) -> QHBoxLayout:
        footer = QHBoxLayout()
        footer.addWidget(self._name)
        footer.addStretch()
        footer.addWidget(self._transfer)
        footer.addWidget(self._trash)
        footer.addWidget(self._settings)
        return footer

    def _make_list(self) -> ChatList:
        chats = ChatList()
        chats.chat_dropped.connect(self.moved)
        chats.chat_pinned.connect(lambda chat: self.pinned.emit(chat, True))
        chats.folder_dropped.connect(self._move_folder)
        chats.itemClicked.connect(self._open)
        chats.itemActivated.connect(self._open)
        chats.itemChanged.connect(self._edited)
        chats.delete_asked.connect(lambda item: self._delete(item.data(CHAT)))
        chats.named.connect(self._named, Qt.ConnectionType.QueuedConnection)  # Qt has the row in hand until then
        chats.left.connect(self.done)
        chats.unfocused.connect(lambda: self._select(self._current))  # what is marked is the open chat
        chats.customContextMenuRequested.connect(self._show_menu)
        return chats

    def show_list(
        self, arrangement: Arrangement, current: str | None, activity: Mapping[str, Activity] | None = None
    ) -> None:
        """Show the chats, or those of them that are searched for, with one selected and busy ones marked.

        While a name is written in a row they wait: the row would be taken away, and the name with it.
        """
        self._arrangement, self._current = arrangement, current
        self._activity = {} if activity is None else activity
        if not self._list.is_naming:
            self._refresh()

    def _refresh(self) -> None:
        arrangement, rows = self._arrangement, self._rows()
        if rows != self._shown:
            self._shown = rows
            self._fill(rows)
        self._mark()
        self._select(self._current)
        self._search.setVisible(not arrangement.is_empty)
        self._list.setVisible(bool(rows))
        self._empty.setVisible(not rows)
        self._name_emptiness()

    def name_folder(self, folder: str) -> None:
        """Let the user write the name of a folder that was made just now."""
        self._write_name(None, folder)

    def _write_name(self, chat: str | None, folder: str | None) -> None:
        """Let the user write the name of a chat, or of a folder; the rows may be others than when that was asked."""
        for row in range(self._list.count()):
            item = self._list.item(row)
            if item.data(CHAT) == chat and (chat or item.data(FOLDER) == folder):
                self._list.setCurrentItem(item)
                self._list.editItem(item)
                return

    def begin_search(self) -> None:
        """Let the user type what to search for."""
        self._search.setFocus()
        self._search.selectAll()

    def rename_current(self) -> None:
        """Let the user write another name for the selected chat."""
        item = self._list.currentItem()
        if item is not None:
            self._list.editItem(item)

    def end_search(self) -> None:
        """Show all chats again."""
        self._search.clear()

    def show_found(self, words: str, hits: Sequence[Found]) -> None:
        """Show the chats in which a text was found, unless the search is for another one by now."""
        if words == self._search.text().strip():
            self._found = {one.conversation: one for one in hits}
            self._shown = []
            self.show_list(self._arrangement, self._current, self._activity)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._retranslate()

    def _retranslate(self) -> None:
        self._new.setText(self.tr("New chat"))
        self._new.setIcon(icon("new-chat", theme.current().text))
        self._new.setToolTip(with_keys(self.tr("New chat"), SHORTCUTS.text("new-chat")))
        self._models.setText(self.tr("Get models"))
        self._models.setIcon(icon("catalogue", theme.current().text))
        self._models.setToolTip(with_keys(self.tr("Get models"), SHORTCUTS.text("catalogue")))
        self._settings.set_words(self.tr("Settings"), SHORTCUTS.text("settings"))
        self._trash.set_words(self.tr("Deleted chats"))
        self._transfer.set_words(self.tr("Import and backup"))
        self._list.setAccessibleName(self.tr("Chats"))
        self._list.name_more(self.tr("More"))
        self._search.draw()
        self._search.setPlaceholderText(self.tr("Search in chats"))
        self._search.setAccessibleName(self.tr("Search in chats"))
        self._search.setToolTip(with_keys(self.tr("Search in chats"), SHORTCUTS.text("search")))
        self._name_emptiness()

    def _name_emptiness(self) -> None:
        self._empty.setText(
            self.tr("Your chats will be listed here. They stay on this computer.")
            if self._found is None
            else self.tr("No chat has these words.")
        )

    def _search_changed(self, text: str) -> None:
        if text.strip():
            self._pause.start()
        else:
            self._pause.stop()
            self._found, self._shown = None, []
            self.show_list(self._arrangement, self._current, self._activity)

    def _open_first(self) -> None:
        first = next((row.chat for row in self._shown if row.chat), None)
        if self._found is not None and first is not None:
            self._open_chat(first)

    def _enter_list(self) -> None:
        if self._list.isVisible():
            self._list.setFocus()
            if self._list.currentItem() is None:
                self._list.setCurrentRow(1)  # below the heading

    def _give_up(self) -> None:
        self.end_search()
        self.left.emit()

    def _rows(self) -> list[_Row]:
        """Return the rows: pinned chats, folders, the others by day; of a search what it found, closed folders too."""
        hits, rows = self._found, []

        def wanted(chats: list[Conversation]) -> list[Conversation]:
            return [chat for chat in chats if hits is None or chat.id in hits]

        if pinned := wanted(self._arrangement.pinned):
            rows.append(_Row("", self.tr("Pinned"), pinned=True))
            rows += [_Row(chat.id, chat.title, pinned=True) for chat in pinned]
        for folder, held in self._arrangement.folders:
            closed = folder.closed and hits is None
            if hits is None or wanted(held):
                rows.append(_Row("", folder.name, folder.id, closed))
                rows += [] if closed else [_Row(chat.id, chat.title, folder.id) for chat in wanted(held)]
        day = ""
        for chat in wanted(self._arrangement.others):
            if day_group(chat.updated) != day:
                day = day_group(chat.updated)
                rows.append(_Row("", day))
            rows.append(_Row(chat.id, chat.title))
        return rows

    def _fill(self, rows: list[_Row]) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        for row in rows:
            item = self._folder_item(row) if row.folder and not row.chat else self._item(row)
            item.setData(FOLDER, row.folder or None)
            item.setData(PINNED, row.pinned)
            self._list.addItem(item)
        self._list.blockSignals(False)

    def _item(self, row: _Row) -> QListWidgetItem:
        """Return the row of a chat, with what was found in it, or of a heading that is no folder."""
        if not row.chat:
            return heading(row.text)
        name = row.text or self.tr("New chat")
        hit = self._found.get(row.chat) if self._found is not None else None
        item = QListWidgetItem(f"{name}\n{hit.snippet}" if hit is not None and hit.snippet else name)
        item.setData(CHAT, row.chat)
        item.setToolTip(item.text())
        if "\n" in item.text():
            item.setSizeHint(two_lines(self._list))
        if hit is None:
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        return item

    def _folder_item(self, row: _Row) -> QListWidgetItem:
        item = heading(row.text)
        item.setIcon(icon("next" if row.closed else "down", theme.current().muted, _MARK))
        kind, closed = self.tr("folder"), self.tr("closed") if row.closed else self.tr("open")
        item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{row.text}, {kind}, {closed}")
        item.setFlags(
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsEditable
            | Qt.ItemFlag.ItemIsDragEnabled
            | Qt.ItemFlag.ItemIsDropEnabled
        )
        return item

    def _move_folder(self, folder: str, place_of: str) -> None:
        order = [one.id for one, _ in self._arrangement.folders]
        self.folder_moved.emit(folder, order.index(place_of))

    def _mark(self) -> None:
        """Show in which chats a reply is being written, waits, or is new."""
        words = {"writing": self.tr("writing"), "waiting": self.tr("waits"), "unseen": self.tr("new reply")}
        colours = {
            "writing": theme.current().accent,
            "waiting": theme.current().muted,
            "unseen": theme.current().accent,
        }
        self._list.blockSignals(True)
        for row in range(self._list.count()):
            item = self._list.item(row)
            if not item.data(CHAT):
                continue
            state = self._activity.get(item.data(CHAT))
            text = f"{item.text()}, {words[state]}" if state else None
            if item.data(Qt.ItemDataRole.AccessibleTextRole) != text:
                item.setData(Qt.ItemDataRole.AccessibleTextRole, text)
                item.setIcon(icon(state, colours[state], _MARK) if state else QIcon())
                item.setToolTip(f"{item.text()} · {words[state]}" if state else item.text())
        self._list.blockSignals(False)

    def _select(self, current: str | None) -> None:
        now = self._list.currentItem()
        if self._list.is_naming or (now is not None and now.data(CHAT) == current):
            return
        self._list.blockSignals(True)
        self._list.setCurrentItem(None)  # type: ignore[call-overload]
        for item in self._list.findItems("*", Qt.MatchFlag.MatchWildcard):
            if item.data(CHAT) == current and current is not None:
                self._list.setCurrentItem(item)
        self._list.blockSignals(False)

    def _open(self, item: QListWidgetItem) -> None:
        if item.data(CHAT):
            self._open_chat(item.data(CHAT))
        elif item.data(FOLDER):
            self.folder_closed.emit(item.data(FOLDER))

    def _open_chat(self, conversation: str) -> None:
        hit = self._found.get(conversation) if self._found is not None else None
        if hit is not None and hit.message:
            self.found_opened.emit(conversation, hit.message, self._search.text().strip())
        else:
            self.opened.emit(conversation)

    def _edited(self, item: QListWidgetItem) -> None:
        renamed = self.renamed if item.data(CHAT) else self.folder_renamed
        if identifier := item.data(CHAT) or item.data(FOLDER):
            if item.text().strip():
                renamed.emit(identifier, item.text())
            else:
                self._shown = []  # the row gets its old name back

    def _named(self) -> None:
        if not self._list.is_naming:  # no other row is named by now
            self._refresh()
            self.done.emit()

    def _delete(self, chat: str) -> None:
        self.deleted.emit(chat)
        self.done.emit()

    def _show_menu(self, place: QPoint) -> None:
        item = self._list.itemAt(place)
        if item is None or not (item.data(CHAT) or item.data(FOLDER)):
            return
        if self._list.is_naming:
            self._list.setCurrentItem(None)  # type: ignore[call-overload]  # it takes the name that is being written
        menu = self._chat_menu(item) if item.data(CHAT) else self._folder_menu(item)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._list.viewport().mapToGlobal(place))

    def _chat_menu(self, item: QListWidgetItem) -> ChatMenu:
        chat = item.data(CHAT)
        menu = ChatMenu([folder for folder, _ in self._arrangement.folders], item.data(FOLDER), item.data(PINNED), self)
        menu.renaming.connect(lambda: self._write_name(chat, None))
        menu.exporting.connect(lambda: self.export_asked.emit(chat))
        menu.deleting.connect(lambda: self._delete(chat))
        menu.pinning.connect(lambda pinned: self.pinned.emit(chat, pinned))
        menu.moving.connect(lambda folder: self.moved.emit(chat, folder))
        menu.making_folder.connect(lambda: self.folder_asked.emit(chat, self.tr("New folder")))
        return menu

    def _folder_menu(self, item: QListWidgetItem) -> FolderMenu:
        folder, menu = item.data(FOLDER), FolderMenu(self)
        menu.renaming.connect(lambda: self._write_name(None, folder))
        menu.removing.connect(lambda: self.folder_removed.emit(folder))
        return menu


class _Search(QLineEdit):
    """A line for a search; the arrow goes to what was found, Esc gives up."""

    down = Signal()
    given_up = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chatSearch")
        self.setMaxLength(_LONGEST_SEARCH)
        self.setClearButtonEnabled(True)
        self._glass = self.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        self.draw()

    def draw(self) -> None:
        """Draw the icon in the theme's colour."""
        self._glass.setIcon(icon("search", theme.current().muted, 16))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and cast(QKeyEvent, event).key() == Qt.Key.Key_Escape:
            event.accept()  # elsewhere it is the window's shortcut
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
        elif event.key() == Qt.Key.Key_Down:
            self.down.emit()
        else:
            super().keyPressEvent(event)
