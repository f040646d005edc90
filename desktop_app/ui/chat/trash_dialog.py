"""The chats that were deleted in the last 30 days: to be brought back, or deleted for good."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QDateTime, QEvent, QLocale, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.chat.history import TRASH_DAYS, Deleted
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.widgets.enabling import UNCHOSEN, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_DELETED = Qt.ItemDataRole.UserRole
_LIST = 260


class TrashDialog(FittingDialog):
    """Lists the deleted chats."""

    def __init__(self, chats: ChatSession, parent: QWidget | None = None) -> None:
        """Begin to read what there is."""
        super().__init__(460, parent)
        self._chats = chats
        self._words = QLabel(wordWrap=True)
        self._words.setObjectName("muted")
        self._list = QListWidget()
        self._list.setObjectName("offers")
        self._list.setMinimumHeight(_LIST)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._list.itemSelectionChanged.connect(self._refresh)
        self._list.itemActivated.connect(self._restore)
        self._restoring, self._forgetting = QPushButton(), QPushButton()
        self._restoring.clicked.connect(self._restore)
        self._forgetting.clicked.connect(self._forget)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        actions = QHBoxLayout()
        actions.addWidget(self._restoring)
        actions.addWidget(self._forgetting)
        actions.addStretch()
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(10)
        column.addWidget(self._words)
        column.addWidget(self._list, 1)
        column.addLayout(actions)
        self.set_content(page, self._buttons)
        self._retranslate()
        chats.list.trash(self._show)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Deleted chats"))
        self._list.setAccessibleName(self.tr("Deleted chats"))
        self._restoring.setText(self.tr("Bring back"))
        self._forgetting.setText(self.tr("Delete for good"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        self._refresh()

    def _show(self, deleted: Sequence[Deleted]) -> None:
        self._list.clear()
        for one in deleted:
            when = QLocale().toString(QDateTime.fromSecsSinceEpoch(int(one.at)), QLocale.FormatType.ShortFormat)
            item = QListWidgetItem(f"{one.conversation.title} · {when}")
            item.setData(_DELETED, one)
            self._list.addItem(item)
        self._list.setCurrentRow(0)
        self._refresh()

    def _refresh(self) -> None:
        chosen = bool(self._list.selectedItems())
        for button in (self._restoring, self._forgetting):
            enable(button, {UNCHOSEN: not chosen})
        if self._list.count():
            text = self.tr("Deleted chats stay here for {count} days; then they are gone for good.")
        else:
            text = self.tr("Nothing was deleted. Chats that you delete stay here for {count} days.")
        self._words.setText(text.format(count=TRASH_DAYS))

    def _taken(self) -> list[Deleted]:
        """Take the selected chats off the list and return them."""
        items = self._list.selectedItems()
        for item in items:
            self._list.takeItem(self._list.row(item))
        self._refresh()
        return [item.data(_DELETED) for item in items]

    def _restore(self) -> None:
        for one in self._taken():
            self._chats.list.bring_back(one.conversation)

    def _forget(self) -> None:
        self._chats.list.forget([one.conversation.id for one in self._taken()])
