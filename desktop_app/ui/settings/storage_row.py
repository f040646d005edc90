"""Settings: another folder for models and downloads."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_app.paths import storage_folder
from desktop_app.ui.bridges.storage_bridge import StorageBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated

_PARTS = 1000


class StorageRow(QWidget):
    """A button to choose a folder; while everything moves there, how far that is, and a button to stop it."""

    def __init__(self, storage: StorageBridge, parent: QWidget | None = None) -> None:
        """Follow the bridge."""
        super().__init__(parent)
        self._storage = storage
        self._choose, self._stop = QPushButton(), QPushButton()
        for button in (self._choose, self._stop):
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._choose.clicked.connect(self._ask)
        self._stop.clicked.connect(storage.cancel)
        self._bar = QProgressBar(textVisible=False, maximum=_PARTS)
        self._bar.setFixedHeight(4)
        self._words = QLabel(wordWrap=True)
        self._words.setObjectName("muted")
        buttons = QHBoxLayout()
        buttons.addWidget(self._choose)
        buttons.addWidget(self._stop)
        buttons.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        column.addWidget(self._words)
        storage.changed.connect(self._show)
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show()

    def _show(self) -> None:
        storage = self._storage
        self._choose.setText(self.tr("Move models and downloads to another folder…"))
        self._stop.setText(self.tr("Cancel"))
        self._choose.setVisible(not storage.under_way)
        self._stop.setVisible(storage.under_way)
        self._bar.setVisible(storage.under_way)
        progress = storage.progress
        self._bar.setMaximum(_PARTS if progress is not None else 0)
        if progress is not None:
            self._bar.setValue(round(_PARTS * progress.bytes_done / max(1, progress.bytes_total)))
        self._words.setText(self._sentence())
        self._words.setVisible(bool(self._words.text()))

    def _sentence(self) -> str:
        storage = self._storage
        if storage.under_way:
            progress = storage.progress
            if progress is None:
                return self.tr("The model in use is unloaded…")
            words = self.tr("Copied and compared: {done} of {total}. Until all is there, everything stays where it is.")
            return words.format(done=size(progress.bytes_done), total=size(progress.bytes_total))
        return translated(storage.error) if storage.error is not None else ""

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self.window(), self.tr("An empty folder for models and downloads"), str(storage_folder().parent)
        )
        if chosen:
            self._storage.move(Path(chosen))
