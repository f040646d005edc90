"""Deleting downloads whose models are made: the row in the settings that shows what they take, and the question before."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMessageBox, QPushButton, QSizePolicy, QWidget

from converter.hub.cleanup import KeptDownload
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.sentences import translated

_MOST_NAMES = 12


class DeletionQuestion(QMessageBox):
    """Asks whether downloads are to be deleted, and has it done."""

    def __init__(self, kept: Sequence[KeptDownload], bridge: ConversionBridge, parent: QWidget) -> None:
        """Name the downloads and what their end would free."""
        super().__init__(parent)
        self.setObjectName("deletion")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setTextFormat(Qt.TextFormat.PlainText)
        [name, *others] = [download.name for download in kept]
        many = self.tr("Delete {count} downloads that were converted?").format(count=number(len(kept), 0))
        self.setText(many if others else self.tr("Delete the download of {name}?").format(name=name))
        stays = self.tr(
            "This frees {size}. The converted models stay as they are; for another quantization the original would be "
            "downloaded again."
        ).format(size=size(sum(download.bytes for download in kept)))
        self.setInformativeText("\n\n".join(part for part in (_names(kept) if others else "", stays) if part))
        delete = self.addButton(self.tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        self.setDefaultButton(self.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        delete.clicked.connect(lambda: bridge.delete_downloads(kept, lambda error: _say(parent, error)))


class DownloadsRow(QWidget):
    """Disk space of converted models' downloads, with a button to delete them; hidden where there are none."""

    def __init__(self, bridge: ConversionBridge, parent: QWidget | None = None) -> None:
        """Find out what there is, and follow it."""
        super().__init__(parent)
        self._bridge = bridge
        self._kept: list[KeptDownload] = []
        self._words = QLabel(wordWrap=True)
        self._delete = QPushButton()
        self._delete.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._delete.clicked.connect(lambda: DeletionQuestion(self._kept, bridge, self.window()).open())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self._words, 1)
        layout.addWidget(self._delete)
        self.hide()
        bridge.changed.connect(self._find)
        self._find()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show(self._kept)

    def _find(self) -> None:
        self._bridge.find_downloads(self, self._show)

    def _show(self, kept: list[KeptDownload]) -> None:
        self._kept = kept
        taken = size(sum(download.bytes for download in kept))
        self._words.setText(self.tr("Downloads that are converted already take {size}.").format(size=taken))
        self._delete.setText(self.tr("Delete…"))
        self.setVisible(bool(kept))


def _names(kept: Sequence[KeptDownload]) -> str:
    lines = [f"{download.name} · {size(download.bytes)}" for download in kept[:_MOST_NAMES]]
    return "\n".join([*lines, "…"] if len(kept) > _MOST_NAMES else lines)


def _say(parent: QWidget, error: Exception) -> None:
    box = QMessageBox(QMessageBox.Icon.NoIcon, "", translated(error), QMessageBox.StandardButton.Ok, parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
