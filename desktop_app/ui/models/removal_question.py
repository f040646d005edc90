"""The question before a model is removed: what is deleted with it, and what that frees."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QMessageBox, QWidget

from desktop_app.library.file_names import exists
from desktop_app.library.removal import Removal
from desktop_app.ui.i18n.formats import size


class RemovalQuestion(QMessageBox):
    """Asks whether a model is to be removed."""

    agreed = Signal(bool, bool)
    """The user agrees; first: to delete the download too that the model was made of, second: to delete the model for good."""

    def __init__(self, removal: Removal, parent: QWidget, *, in_use: bool, bin_failed: str = "") -> None:
        """Say what would become of the model's files.

        Args:
            removal: of which model.
            parent: whose dialog it is.
            in_use: the model is.
            bin_failed: why the bin did not take it, a sentence; "": it was not tried.
        """
        super().__init__(parent)
        self.setObjectName("removal")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(self.tr("Remove {name}?").format(name=removal.model.name))
        unloaded = self.tr("It is in use, and is unloaded first.") if in_use else ""
        parts = (bin_failed, self._consequence(removal, bin_failed=bool(bin_failed)), unloaded)
        self.setInformativeText("\n\n".join(part for part in parts if part))
        download = QCheckBox()
        if removal.download is not None:
            words = self.tr("Delete the download too that it was made of ({size})")
            download.setText(words.format(size=size(removal.download.bytes)))
            download.setChecked(True)  # without its model it would be of no use, and nothing would lead to it
            self.setCheckBox(download)
        if not removal.files:
            self._add(self.tr("Remove"), download, for_good=False)
        else:
            if not bin_failed:
                self._add(self.tr("Move to the bin"), download, for_good=False)
            self._add(self.tr("Delete for good"), download, for_good=True)
        self.setDefaultButton(self.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))

    def _add(self, words: str, download: QCheckBox, *, for_good: bool) -> None:
        button = self.addButton(words, QMessageBox.ButtonRole.DestructiveRole)
        button.clicked.connect(lambda: self.agreed.emit(download.isChecked(), for_good))

    def _consequence(self, removal: Removal, *, bin_failed: bool) -> str:
        if not exists(removal.model.path):
            return self.tr("It is taken off the list; its file is not there any more.")
        if not removal.files:
            text = self.tr("It is taken off the list, which frees nothing: its file is your own and stays at {path}.")
            return text.format(path=removal.model.path)
        text = self.tr("Deleting it frees {size}. Your chats stay.")
        if not bin_failed:
            text = self.tr(
                "From the bin it can be had back; {size} are free again when that is emptied, or when the model is deleted for "
                "good. Your chats stay."
            )
        return text.format(size=size(removal.frees))
