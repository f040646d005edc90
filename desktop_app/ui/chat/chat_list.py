"""The rows of the list of chats: keys, dragging, renaming in place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from desktop_app.ui.focus import is_written
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import look
from desktop_app.ui.widgets.icons import IconButton

CHAT = Qt.ItemDataRole.UserRole
"""Of a chat's row: its id."""
FOLDER = Qt.ItemDataRole.UserRole + 1
"""The id of the folder that a row heads or lies in."""
PINNED = Qt.ItemDataRole.UserRole + 2
"""The row is above all others."""

_AROUND = 4
"""The margins of a row, and what Qt rounds."""


class ChatList(QListWidget):
    """Rows with one line each; F2 renames and Delete deletes. A chat is dragged into a folder, a folder to another place."""

    delete_asked = Signal(QListWidgetItem)
    left = Signal()
    unfocused = Signal()
    named = Signal()
    """No name is written in a row any more, whether another one was given or not."""
    chat_dropped = Signal(str, object)
    """A chat's id and that of the folder it was dropped on; None: on no folder."""
    chat_pinned = Signal(str)
    """A chat was dropped among the pinned ones."""
    folder_dropped = Signal(str, str)
    """The ids of a folder and of that whose place it takes."""

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
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDropIndicatorShown(False)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)

    @property
    def is_naming(self) -> bool:
        """A name is being written in a row; rows that change now would take it away."""
        return self.state() == QAbstractItemView.State.EditingState

    def closeEditor(self, editor: QWidget, hint: QStyledItemDelegate.EndEditHint) -> None:  # noqa: N802  (Qt's name)
        """Tell of it, whatever closed it: a key, a click on another row, the keyboard that went elsewhere."""
        super().closeEditor(editor, hint)
        self.named.emit()

    def name_more(self, words: str) -> None:
        """Say what the button in a row does."""
        self._more.set_words(words)

    def clear(self) -> None:
        """Take all rows away."""
        self._more.follow(None)
        super().clear()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  (Qt's name)
        """Let the button stand in the row under the pointer."""
        super().mouseMoveEvent(event)
        self._more.follow(self.itemAt(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """Hide the button."""
        super().leaveEvent(event)
        self._more.follow(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Act on keys; what is written goes to the message."""
        item = self.currentItem()
        if event.matches(QKeySequence.StandardKey.Undo):
            event.ignore()  # the window's
        elif SHORTCUTS.matches(event, "delete") and item is not None and item.data(CHAT):
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

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Take rows of this list; files belong to the window."""
        if event.source() is self:
            event.acceptProposedAction()
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: N802
        """Allow every place."""
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Say what was dropped where; the list is filled anew by whoever hears of it."""
        dragged, target = self.currentItem(), self.itemAt(event.position().toPoint())
        event.setDropAction(Qt.DropAction.IgnoreAction)  # Qt would take the row away
        event.accept()
        if dragged is not None:
            self.drop(dragged, target)

    def drop(self, dragged: QListWidgetItem, target: QListWidgetItem | None) -> None:
        """Tell of a row that was dropped on another, or below all."""
        folder = target.data(FOLDER) if target is not None else None
        if dragged.data(CHAT):
            if target is not None and target.data(PINNED):
                self.chat_pinned.emit(dragged.data(CHAT))
            else:
                self.chat_dropped.emit(dragged.data(CHAT), folder)
        elif folder and dragged.data(FOLDER) and folder != dragged.data(FOLDER):
            self.folder_dropped.emit(dragged.data(FOLDER), folder)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        """Tell that the keyboard left."""
        super().focusOutEvent(event)
        self.unfocused.emit()


class _MenuButton(IconButton):
    """Stands in the row under the pointer, and opens what the right button opens."""

    def __init__(self, chats: ChatList) -> None:
        super().__init__("more", chats.viewport(), size=14)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard has the menu key
        self._chats = chats
        self._row: QListWidgetItem | None = None
        self.clicked.connect(self._open)
        self.hide()

    def follow(self, item: QListWidgetItem | None) -> None:
        """Stand in a row of a chat or a folder; None: in none."""
        if item is None or not (item.data(CHAT) or item.data(FOLDER)):
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


def two_lines(chats: ChatList) -> QSize:
    """Return the size of a row with two lines: Qt reckons with Latin letters and leaves out a second line below Chinese."""
    lines = chats.fontMetrics().boundingRect(QRect(0, 0, 1000, 1000), 0, "知\n知").height()
    return QSize(0, lines + 2 * look.current().row_padding + _AROUND)


def heading(text: str) -> QListWidgetItem:
    """Return a row above others, which cannot be chosen."""
    item = QListWidgetItem(text)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    font = item.font()
    font.setPointSizeF(font.pointSizeF() * 0.88 if font.pointSizeF() > 0 else 9)
    item.setFont(font)
    return item
