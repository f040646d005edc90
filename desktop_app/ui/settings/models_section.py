"""Settings: where models are, what they take, and what may go."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel

from desktop_app.paths import free_space, models_folder
from desktop_app.settings import Settings
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.bridges.storage_bridge import StorageBridge
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.models.delete_downloads import DownloadsRow
from desktop_app.ui.settings.folders_row import FoldersRow
from desktop_app.ui.settings.section import Section
from desktop_app.ui.settings.storage_row import StorageRow


class ModelsSection(Section):
    """The folder of models, the disk, and downloads that are needed no more."""

    def __init__(
        self, settings: Settings, library: LibraryBridge, conversions: ConversionBridge, storage: StorageBridge
    ) -> None:
        """Show what is there now."""
        super().__init__(settings)
        self._library = library
        self._folder = QLabel(str(models_folder()), wordWrap=True)
        self._folder.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._taken, self._free = QLabel(wordWrap=True), QLabel(wordWrap=True)
        for field in (self._folder, self._taken, self._free):
            self.add_field(field)
        self._open = self.add_button()
        self._open.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(models_folder()))))
        self.add_below(StorageRow(storage))
        self.add_below(FoldersRow(library))
        self.add_below(DownloadsRow(conversions))
        storage.moved.connect(self._show_folder)
        library.changed.connect(self.retranslate)
        self.retranslate()

    def _show_folder(self) -> None:
        self._folder.setText(str(models_folder()))
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._folder, self.tr("Folder of models"))
        self._folder.setAccessibleName(f"{self.tr('Folder of models')}: {self._folder.text()}")
        self.name_field(self._taken, self.tr("Models here"))
        models = self._library.models
        self._taken.setText(
            self.tr("{count}, {size} in all").format(
                count=number(len(models), 0), size=size(sum(model.bytes for model in models))
            )
        )
        self._taken.setAccessibleName(f"{self.tr('Models here')}: {self._taken.text()}")
        self.name_field(self._free, self.tr("Free on the disk"))
        self._free.setText(size(free_space(models_folder())))
        self._free.setAccessibleName(f"{self.tr('Free on the disk')}: {self._free.text()}")
        self._open.setText(self.tr("Open the folder"))
