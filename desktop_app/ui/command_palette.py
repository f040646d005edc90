"""Everything by its name: a line to write in, and below it the actions, chats, models and settings that have these words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app.ui.controllers.palette_entries import Entry, matching

_WIDTH, _HEIGHT, _TOP = 560, 420, 60


class CommandPalette(QDialog):
    """Closes when something is chosen, or when one turns away."""

    def __init__(self, entries: Sequence[Entry], parent: QWidget) -> None:
        """Show all entries."""
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("palette")
        self._entries = entries
        self._shown: list[Entry] = []
        self._field = _Field()
        self._field.setPlaceholderText(self.tr("What do you want to do?"))
        self._field.setAccessibleName(self.tr("What do you want to do?"))
        self._field.textChanged.connect(self._show)
        self._field.moved.connect(self._move)
        self._field.returnPressed.connect(self._choose)
        self._list = QListWidget()
        self._list.setObjectName("paletteList")
        self._list.setAccessibleName(self.tr("Found"))
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.itemClicked.connect(self._choose)
        self._nothing = QLabel(self.tr("Nothing has these words."), alignment=Qt.AlignmentFlag.AlignCenter)
        self._nothing.setObjectName("muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._field)
        layout.addWidget(self._list, 1)
        layout.addWidget(self._nothing, 1)
        width, height = min(_WIDTH, parent.width() - 40), min(_HEIGHT, parent.height() - 2 * _TOP)
        self.resize(width, height)
        corner = parent.mapToGlobal(parent.rect().topLeft())
        self.move(corner.x() + (parent.width() - width) // 2, corner.y() + _TOP)
        self._show("")
        self._field.setFocus()

    def _show(self, text: str) -> None:
        self._shown = matching(self._entries, text)
        self._list.clear()
        for entry in self._shown:
            item = QListWidgetItem()
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.words}, {entry.kind}")
            self._list.addItem(item)
            row = _Row(entry)
            item.setSizeHint(row.sizeHint())
            self._list.setItemWidget(item, row)
        self._list.setVisible(bool(self._shown))
        self._nothing.setVisible(not self._shown)
        self._list.setCurrentRow(0)

    def _move(self, by: int) -> None:
        if self._shown:
            self._list.setCurrentRow((self._list.currentRow() + by) % len(self._shown))

    def _choose(self) -> None:
        row = self._list.currentRow()
        if 0 <= row < len(self._shown):
            self.close()
            self._shown[row].act()


class _Row(QWidget):
    """An entry: its words at the left, what it is and its keys at the right."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        words, kind = QLabel(entry.words), QLabel(entry.kind)
        kind.setObjectName("muted")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(words, 1)
        layout.addWidget(kind)
        if entry.keys:
            keys = QLabel(entry.keys)
            keys.setObjectName("key")
            layout.addWidget(keys)


class _Field(QLineEdit):
    """A line that the arrow keys do not leave: they move below it."""

    moved = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        if (by := steps.get(Qt.Key(event.key()))) is not None:
            self.moved.emit(by)
        else:
            super().keyPressEvent(event)
