"""Settings: where what the user writes is kept, and proof that nothing of it leaves."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel

from desktop_app.chat.history import TRASH_DAYS
from desktop_app.paths import data_folder, database_file
from desktop_app.settings import Settings
from desktop_app.ui.settings.connections_dialog import ConnectionsDialog
from desktop_app.ui.settings.section import Section


class PrivacySection(Section):
    """The file of chats, the trash, and the list of all connections."""

    trash_asked = Signal()

    def __init__(self, settings: Settings) -> None:
        """Show where things are."""
        super().__init__(settings)
        self._words = self.add_hint()
        self._chats = QLabel(str(database_file()), wordWrap=True)
        self._chats.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.add_field(self._chats)
        self._connections, self._trash, self._folder = self.add_button(), self.add_button(), self.add_button()
        self._connections.clicked.connect(lambda: ConnectionsDialog(self).open())
        self._trash.clicked.connect(self.trash_asked)
        self._folder.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(data_folder()))))
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._chats, self.tr("Chats"))
        self._chats.setAccessibleName(f"{self.tr('Chats')}: {self._chats.text()}")
        self._words.setText(
            self.tr(
                "Chats, documents and settings stay on this computer; nothing is counted or reported to anybody. Deleted "
                "chats stay in the trash for {days} days, and are overwritten on the disk after that."
            ).format(days=TRASH_DAYS)
        )
        self._connections.setText(self.tr("Show all connections…"))
        self._trash.setText(self.tr("Show deleted chats…"))
        self._folder.setText(self.tr("Open the data folder"))
