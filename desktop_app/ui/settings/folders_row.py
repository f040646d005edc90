"""Settings: further folders whose models are on the list."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop_app.library.further_folders import add_folder, further_folders, take_off_folder
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import UNCHOSEN, enable
from models.errors import ZhiyinError
from models.visible import visible

_HEIGHT = 84


class FoldersRow(QWidget):
    """Their list, and buttons to add one and to take one off."""

    def __init__(self, library: LibraryBridge, parent: QWidget | None = None) -> None:
        """Show them; `library` lists models anew where they change."""
        super().__init__(parent)
        self._library = library
        self._folders: list[Path] = []
        self._title, self._words = QLabel(), QLabel(wordWrap=True)
        self._words.setObjectName("muted")
        self._list = QListWidget()
        self._list.setObjectName("offers")
        self._list.setFixedHeight(_HEIGHT)
        self._add, self._take_off = QPushButton(), QPushButton()
        self._list.currentRowChanged.connect(lambda row: enable(self._take_off, {UNCHOSEN: row < 0}))
        buttons = QHBoxLayout()
        for button in (self._add, self._take_off):
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button)
        buttons.addStretch()
        self._add.clicked.connect(self._ask)
        self._take_off.clicked.connect(self._take_chosen_off)
        enable(self._take_off, {UNCHOSEN: True})
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._title, self._list):
            column.addWidget(part)
        column.addLayout(buttons)
        column.addWidget(self._words)
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show()

    def add(self, folder: Path) -> None:
        """Have the models of a folder on the list, or say why not."""
        try:
            add_folder(folder)
        except ZhiyinError as error:
            self._show(error)
        else:
            self._show()
            self._library.refresh()

    def _ask(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self.window(), self.tr("A folder with models"), str(Path.home())):
            self.add(Path(chosen))

    def _take_chosen_off(self) -> None:
        try:
            take_off_folder(self._folders[self._list.currentRow()])
        except ZhiyinError as error:
            self._show(error)
        else:
            self._show()
            self._library.refresh()

    def _show(self, error: ZhiyinError | None = None) -> None:
        self._title.setText(self.tr("Further folders of models"))
        self._list.setAccessibleName(self._title.text())
        self._add.setText(self.tr("Add a folder…"))
        self._take_off.setText(self.tr("Take off the list"))
        self._folders = further_folders()
        away = self.tr("{path} (not there now)")
        self._list.clear()
        for folder in self._folders:
            name = visible(str(folder))
            self._list.addItem(name if folder.is_dir() else away.format(path=name))
        self._list.setVisible(bool(self._folders))
        self._take_off.setVisible(bool(self._folders))
        hint = self.tr(
            "Their models are used where they lie; nothing there is changed, and new models go to the folder above."
        )
        self._words.setText(hint if error is None else translated(error))
