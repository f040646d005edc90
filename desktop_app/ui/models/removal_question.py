"""The question before a model is removed: what is deleted with it, and what that frees."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

from desktop_app.library.file_names import exists
from desktop_app.library.removal import Removal
from desktop_app.ui.i18n.formats import size


class RemovalQuestion(QMessageBox):
    """Asks whether a model is to be removed."""

    agreed = Signal(bool)
    """The user agrees; True: to delete the download too that the model was made of."""

    def __init__(self, removal: Removal, parent: QWidget, *, in_use: bool) -> None:
        """Say what would become of the model's files."""
        super().__init__(parent)
        self.setObjectName("removal")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(self.tr("Remove {name}?").format(name=removal.model.name))
        unloaded = self.tr("It is in use, and is unloaded first.") if in_use else ""
        self.setInformativeText("\n\n".join(part for part in (self._consequence(removal), unloaded) if part))
        download = QCheckBox()
        if removal.download is not None:
            words = self.tr("Delete the download too that it was made of ({size})")
            download.setText(words.format(size=size(removal.download.bytes)))
            download.setChecked(True)  # without its model it would be of no use, and nothing would lead to it
            self.setCheckBox(download)
        remove = self.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        self.setDefaultButton(self.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        remove.clicked.connect(lambda: self.agreed.emit(download.isChecked()))

    def _consequence(self, removal: Removal) -> str:
        if not exists(removal.model.path):
            return self.tr("It is taken off the list; its file is not there any more.")
        if not removal.files:
            text = self.tr("It is taken off the list, which frees nothing: its file is your own and stays at {path}.")
            return text.format(path=removal.model.path)
        text = self.tr("It is deleted from this computer, which frees {size}. Your chats stay.")
        return text.format(size=size(removal.frees))
