"""The list of chats, by day, with a search in their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QFocusEvent, QIcon, QKeyEvent, QKeySequence, QMouseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app.chat.conversation import Conversation
from desktop_app.chat.history import Found
from desktop_app.ui.chat.chat_session import Activity
from desktop_app.ui.focus import is_written
from desktop_app.ui.i18n.formats import day_group, with_keys
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import IconButton, icon

_PAUSE_MS = 200
_LONGEST_SEARCH = 200
_MARK = 14
"""Pixels of the icon in front of a busy chat."""
_ID = Qt.ItemDataRole.UserRole


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
    done = Signal()
    """Something was done in the list with keys or its menu: the keyboard may go back to the message."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setFixedWidth(248)
        self._conversations: list[Conversation] = []
        self._current: str | None = None
        self._found: Mapping[str, Found] | None = None
        """The chats that the search found; None: there is no search."""
        self._activity: Mapping[str, Activity] = {}
        self._shown: list[tuple[str, str, str]] = []
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
        self._settings = IconButton("settings")
        self._settings.clicked.connect(self.settings_asked)
        footer = QHBoxLayout()
        footer.addWidget(self._name)
        footer.addStretch()
        footer.addWidget(self._trash)
        footer.addWidget(self._settings)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 8)
        layout.setSpacing(8)
        layout.addWidget(self._new)
        layout.addWidget(self._search)
        layout.addWidget(self._list, 1)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self._models)
        layout.addLayout(footer)
        self._retranslate()
        self.show_list([], None)

    def _make_list(self) -> _ChatList:
        chats = _ChatList()
        chats.itemClicked.connect(self._open)
        chats.itemActivated.connect(self._open)
        chats.itemChanged.connect(self._edited)
        chats.delete_asked.connect(self._delete)
        chats.itemDelegate().closeEditor.connect(self.done, Qt.ConnectionType.QueuedConnection)
        chats.left.connect(self.done)
        chats.unfocused.connect(lambda: self._select(self._current))  # what is marked is the open chat
        chats.customContextMenuRequested.connect(self._show_menu)
        return chats

    def show_list(
        self, conversations: list[Conversation], current: str | None, activity: Mapping[str, Activity] | None = None
    ) -> None:
        """Show the chats, or those of them that are searched for, the last used first, with one selected and busy ones marked."""
        self._conversations, self._current = conversations, current
        self._activity = {} if activity is None else activity
        entries = [
            (item.id, item.title, day_group(item.updated))
            for item in conversations
            if self._found is None or item.id in self._found
        ]
        if entries != self._shown:
            self._shown = entries
            self._fill(entries)
        self._mark()
        self._select(current)
        self._search.setVisible(bool(conversations))
        self._list.setVisible(bool(entries))
        self._empty.setVisible(not entries)
        self._name_emptiness()

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

    def show_found(self, words: str, found: Sequence[Found]) -> None:
        """Show the chats in which a text was found, unless the search is for another one by now."""
        if words == self._search.text().strip():
            self._found = {one.conversation: one for one in found}
            self._shown = []
            self.show_list(self._conversations, self._current, self._activity)

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
            self.show_list(self._conversations, self._current, self._activity)

    def _open_first(self) -> None:
        if self._found is not None and self._shown:
            self._open_chat(self._shown[0][0])

    def _enter_list(self) -> None:
        if self._list.isVisible():
            self._list.setFocus()
            if self._list.currentItem() is None:
                self._list.setCurrentRow(1)  # below the heading

    def _give_up(self) -> None:
        self.end_search()
        self.left.emit()

    def _fill(self, entries: list[tuple[str, str, str]]) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        group = ""
        for number, title, heading in entries:
            if heading != group:
                group = heading
                self._list.addItem(_heading(heading))
            name = title or self.tr("New chat")
            found = self._found.get(number) if self._found is not None else None
            item = QListWidgetItem(f"{name}\n{found.snippet}" if found is not None and found.snippet else name)
            item.setData(_ID, number)
            item.setToolTip(item.text())
            if found is None:
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            self._list.addItem(item)
        self._list.blockSignals(False)

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
            state = self._activity.get(item.data(_ID) or "")
            text = f"{item.text()}, {words[state]}" if state else None
            if item.data(Qt.ItemDataRole.AccessibleTextRole) != text:
                item.setData(Qt.ItemDataRole.AccessibleTextRole, text)
                item.setIcon(icon(state, colours[state], _MARK) if state else QIcon())
                item.setToolTip(f"{item.text()} · {words[state]}" if state else item.text())
        self._list.blockSignals(False)

    def _select(self, current: str | None) -> None:
        now = self._list.currentItem()
        if now is not None and now.data(_ID) == current:
            return  # a name that is being written stays open
        self._list.blockSignals(True)
        self._list.setCurrentItem(None)  # type: ignore[call-overload]
        for item in self._list.findItems("*", Qt.MatchFlag.MatchWildcard):
            if item.data(_ID) == current and current is not None:
                self._list.setCurrentItem(item)
        self._list.blockSignals(False)

    def _open(self, item: QListWidgetItem) -> None:
        if item.data(_ID):
            self._open_chat(item.data(_ID))

    def _open_chat(self, conversation: str) -> None:
        found = self._found.get(conversation) if self._found is not None else None
        if found is not None and found.message:
            self.found_opened.emit(conversation, found.message, self._search.text().strip())
        else:
            self.opened.emit(conversation)

    def _edited(self, item: QListWidgetItem) -> None:
        if item.data(_ID):
            if item.text().strip():
                self.renamed.emit(item.data(_ID), item.text())
            else:
                self._fill(self._shown)

    def _delete(self, item: QListWidgetItem) -> None:
        self.deleted.emit(item.data(_ID))
        self.done.emit()

    def _show_menu(self, place: QPoint) -> None:
        item = self._list.itemAt(place)
        if item is None or not item.data(_ID):
            return
        menu = QMenu(self)
        rename = QAction(icon("edit", theme.current().muted), self.tr("Rename"), menu)
        rename.triggered.connect(lambda: self._list.editItem(item))
        delete = QAction(icon("delete", theme.current().muted), self.tr("Delete"), menu)
        delete.triggered.connect(lambda: self._delete(item))
        export = QAction(icon("export", theme.current().muted), self.tr("Export…"), menu)
        export.triggered.connect(lambda: self.export_asked.emit(item.data(_ID)))
        menu.addActions([rename, export, delete])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._list.viewport().mapToGlobal(place))


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


class _ChatList(QListWidget):
    """Rows with one line each; F2 renames and Delete deletes."""

    delete_asked = Signal(QListWidgetItem)
    left = Signal()
    unfocused = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("chatList")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setUniformItemSizes(False)
        self.setItemDelegate(_Renaming(self))
        self.setMouseTracking(True)
        self._more = _MenuButton(self)
        self.verticalScrollBar().valueChanged.connect(self._more.hide)

    def name_more(self, words: str) -> None:
        """Say what the button in a row does."""
        self._more.set_words(words)

    def clear(self) -> None:
        """Take all rows away."""
        self._more.follow(None)
        super().clear()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        super().mouseMoveEvent(event)
        self._more.follow(self.itemAt(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self._more.follow(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        item = self.currentItem()
        if event.matches(QKeySequence.StandardKey.Undo):
            event.ignore()  # the window's
        elif SHORTCUTS.matches(event, "delete") and item is not None and item.data(_ID):
            self.delete_asked.emit(item)
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        elif is_written(event):
            event.ignore()  # it is for the message, not a search by the first letter
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Let the right button open the menu of a chat without selecting it."""
        if event.button() == Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.unfocused.emit()


class _MenuButton(IconButton):
    """Stands in the row under the pointer, and opens what the right button opens."""

    def __init__(self, chats: _ChatList) -> None:
        super().__init__("more", chats.viewport(), size=14)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard has the menu key
        self._chats = chats
        self._row: QListWidgetItem | None = None
        self.clicked.connect(self._open)
        self.hide()

    def follow(self, item: QListWidgetItem | None) -> None:
        """Stand in a row; None: in none."""
        if item is None or not item.data(_ID):
            self.hide()
            return
        row = self._chats.visualItemRect(item)
        self._row = item
        self.move(row.right() - self.width() - 2, row.top() + (row.height() - self.height()) // 2)
        self.show()

    def _open(self) -> None:
        if self._row is not None:
            self._chats.customContextMenuRequested.emit(self._chats.visualItemRect(self._row).center())


class _Renaming(QStyledItemDelegate):
    """Gives the box in which a chat is renamed the whole row: beside the row's padding there is no room for letters."""

    def updateEditorGeometry(  # noqa: N802  (Qt's name)
        self, editor: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        editor.setGeometry(option.rect.adjusted(0, 1, 0, -1))


def _heading(text: str) -> QListWidgetItem:
    item = QListWidgetItem(text)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    font = item.font()
    font.setPointSizeF(font.pointSizeF() * 0.88 if font.pointSizeF() > 0 else 9)
    item.setFont(font)
    return item
