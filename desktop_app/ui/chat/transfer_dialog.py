"""The dialog of imports from other programs, backup and restore."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QStandardPaths, Qt
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.ui.controllers.transfer import TransferController
from desktop_app.ui.widgets.enabling import WORKING, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_WIDTH = 520


class TransferDialog(FittingDialog):
    """Three things to do, each with what it means."""

    def __init__(self, transfer: TransferController, parent: QWidget | None = None) -> None:
        """Offer them."""
        super().__init__(_WIDTH, parent)
        self._transfer = transfer
        self._parts = [_Part(), _Part(), _Part()]
        for part, act in zip(self._parts, (self._choose_export, self._choose_target, self._choose_backup), strict=True):
            part.button.clicked.connect(act)
        self._progress = QProgressBar(textVisible=False, maximum=1000)
        self._said = QLabel(wordWrap=True)
        self._said.setObjectName("transferResult")
        self._said.hide()
        self._progress.hide()
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(16)
        for part in self._parts:
            column.addWidget(part)
        column.addWidget(self._progress)
        column.addWidget(self._said)
        column.addStretch()
        self.set_content(page, self._buttons)
        transfer.progressed.connect(lambda part: self._progress.setValue(round(part * 1000)))
        transfer.ended.connect(self._ended)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Import and backup"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        add, back_up, restore = self._parts
        add.set_words(
            self.tr("Import chats…"),
            self.tr(
                "From an export of ChatGPT (the zip file or conversations.json), Open WebUI, LM Studio, Jan or Zhiyin. Chats "
                "that are here already stay as they are."
            ),
        )
        back_up.set_words(
            self.tr("Back up everything…"),
            self.tr(
                "Chats, settings, document collections and what tools made, as one file. Models and tokens are not in it."
            ),
        )
        restore.set_words(
            self.tr("Restore a backup…"),
            self.tr("Takes the place of what is here at the next start. What is here now is put aside, not deleted."),
        )

    def _choose_export(self) -> None:
        dialog = self._dialog(self.tr("Import chats"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        exported, everything = self.tr("Exported chats"), self.tr("All files")
        dialog.setNameFilters([f"{exported} (*.zip *.json *.jsonl)", f"{everything} (*)"])
        dialog.fileSelected.connect(lambda path: self._begin(lambda: self._transfer.add_chats(Path(path))))
        dialog.open()

    def _choose_target(self) -> None:
        dialog = self._dialog(self.tr("Back up everything"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Zip (*.zip)")
        dialog.setDefaultSuffix("zip")
        dialog.selectFile(f"Zhiyin-{time.strftime('%Y-%m-%d')}.zip")
        dialog.fileSelected.connect(lambda path: self._begin(lambda: self._transfer.back_up(Path(path))))
        dialog.open()

    def _choose_backup(self) -> None:
        dialog = self._dialog(self.tr("Restore a backup"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter("Zip (*.zip)")
        dialog.fileSelected.connect(lambda path: self._begin(lambda: self._transfer.restore(Path(path))))
        dialog.open()

    def _dialog(self, title: str) -> QFileDialog:
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog = QFileDialog(self, title, folder)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog

    def _begin(self, work: Callable[[], None]) -> None:
        for part in self._parts:
            enable(part.button, {WORKING: True})
        self._said.hide()
        self._progress.setValue(0)
        self._progress.show()
        work()

    def _ended(self, sentence: str, well: bool) -> None:
        for part in self._parts:
            enable(part.button, {})
        self._progress.hide()
        self._said.setProperty("wrong", not well)
        self._said.setText(sentence)
        self._said.show()
        self.fit()


class _Part(QFrame):
    """A button and what it means."""

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton()
        self._words = QLabel(wordWrap=True)
        self._words.setObjectName("muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._words)
        column.addWidget(self.button)

    def set_words(self, act: str, meaning: str) -> None:
        self.button.setText(act)
        self._words.setText(meaning)
