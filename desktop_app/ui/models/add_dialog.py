"""The dialog that adds a model: from a file, a folder, or a repository of the Hub or ModelScope."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from converter.hub.address import HubAddress, read_address
from desktop_app.library.other_programs import FoundModel
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.breaking import breakable
from desktop_app.ui.widgets.enabling import UNWRITTEN, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from models.errors import ZhiyinError

WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")
"""Endings of files that are converted."""


class AddDialog(FittingDialog):
    """Asks for a model; what happens with it is the window's to say."""

    paths_chosen = Signal(list)
    """Files or a folder, as texts."""
    repository_named = Signal(HubAddress, str)
    """Which one, and as it was written."""

    def __init__(self, parent: QWidget | None = None, name: str = "") -> None:
        """Begin with the name that was asked for last, if nothing came of it."""
        super().__init__(500, parent)
        self._here, self._here_hint, self._hub = QLabel(), QLabel(wordWrap=True), QLabel()
        self._hub_hint, self._wrong = QLabel(wordWrap=True), QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        for heading in (self._here, self._hub):
            heading.setObjectName("dialogTitle")
        for hint in (self._here_hint, self._hub_hint):
            hint.setObjectName("muted")
        self._wrong.setObjectName("sourceFacts")
        self._wrong.setProperty("kind", "failure")
        self._wrong.hide()
        self._file, self._folder, self._look = QPushButton(), QPushButton(), QPushButton()
        self._file.clicked.connect(self._ask_for_files)
        self._folder.clicked.connect(self._ask_for_folder)
        self._look.clicked.connect(self._take_name)
        self._others, self._found, self._use = QLabel(), QComboBox(), QPushButton()
        self._others.setObjectName("muted")
        self._use.clicked.connect(lambda: self._take_paths([self._found.currentData()]))
        self._name = QLineEdit(clearButtonEnabled=True)
        self._name.setObjectName("repository")
        self._name.textChanged.connect(self._name_changed)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.rejected.connect(self.reject)
        self._lay_out()
        self._retranslate()
        self._name_changed("")
        self._name.setText(name)
        self._name.selectAll()
        self._name.setFocus()

    def show_found(self, models: Sequence[FoundModel]) -> None:
        """Offer the models that other programs keep on this computer."""
        if not models or not isValid(self):
            return
        for model in models:
            self._found.addItem(f"{model.name} · {model.program} · {size(model.bytes)}", str(model.path))
        for widget in (self._others, self._found, self._use):
            widget.show()
        self.fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _lay_out(self) -> None:
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways.addWidget(self._file)
        ways.addWidget(self._folder)
        ways.addStretch()
        others = QHBoxLayout()
        others.setSpacing(8)
        others.addWidget(self._found, 1)
        others.addWidget(self._use)
        for widget in (self._others, self._found, self._use):
            widget.hide()
        name = QHBoxLayout()
        name.setSpacing(8)
        name.addWidget(self._name, 1)
        name.addWidget(self._look)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(20, 18, 20, 8)
        layout.setSpacing(10)
        layout.addWidget(self._here)
        layout.addWidget(self._here_hint)
        layout.addLayout(ways)
        layout.addWidget(self._others)
        layout.addLayout(others)
        layout.addSpacing(12)
        layout.addWidget(self._hub)
        layout.addWidget(self._hub_hint)
        layout.addLayout(name)
        layout.addWidget(self._wrong)
        layout.addStretch()
        self.set_content(page, self._buttons)

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Add a model"))
        self._here.setText(self.tr("On this computer"))
        self._here_hint.setText(
            self.tr("A GGUF file, the folder of a checkpoint, or a single file of weights such as RWKV's .pth")
        )
        self._file.setText(self.tr("File…"))
        self._folder.setText(self.tr("Folder…"))
        self._others.setText(self.tr("Models of other programs, used where they lie:"))
        self._found.setAccessibleName(self._others.text())
        self._use.setText(self.tr("Use"))
        self._hub.setText(self.tr("On Hugging Face or ModelScope"))
        self._hub_hint.setText(self.tr("The name of a model, or the address of its page. Nothing is downloaded yet."))
        self._name.setPlaceholderText(self.tr("owner/name or address"))
        self._name.setAccessibleName(self.tr("owner/name or address"))
        self._look.setText(self.tr("Look"))
        self._offer_look()
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))

    def _name_changed(self, text: str) -> None:
        self._wrong.hide()
        self.fit()
        self._offer_look()
        self._look.setDefault(bool(text.strip()))

    def _offer_look(self) -> None:
        enable(self._look, {UNWRITTEN: not self._name.text().strip()})

    def _take_name(self) -> None:
        try:
            address = read_address(self._name.text())
        except ZhiyinError as error:
            self._wrong.setText(breakable(translated(error)))
            self._wrong.show()
            self.fit()
            return
        self.accept()
        self.repository_named.emit(address, self._name.text())

    def _ask_for_files(self) -> None:
        patterns = " ".join(f"*{ending}" for ending in (".gguf", ".GGUF", *WEIGHTS))
        models, others = self.tr("Models"), self.tr("All files")
        kinds = f"{models} ({patterns});;{others} (*)"
        dialog = QFileDialog(self, self.tr("Choose a model's file"), "", kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._take_paths)
        dialog.open()

    def _ask_for_folder(self) -> None:
        dialog = QFileDialog(self, self.tr("Choose a checkpoint's folder"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.filesSelected.connect(self._take_paths)
        dialog.open()

    def _take_paths(self, paths: list[str]) -> None:
        self.accept()
        self.paths_chosen.emit(paths)
