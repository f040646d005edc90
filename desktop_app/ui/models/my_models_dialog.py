"""The models of this computer: what each is, where it comes from, and what can be done with its file."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLocale, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.starter import STARTER_ORIGIN
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services
from desktop_app.ui.widgets.enabling import READING, UNCHOSEN, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.name_question import ask_name

if TYPE_CHECKING:
    from desktop_app.library.model_care import ModelFacts

_WIDTH = 760
_LOWEST_LIST = 140
_PARTS = 1000


class MyModelsDialog(FittingDialog):
    """A list, the facts of the chosen one below it, and its buttons."""

    removal_asked = Signal(object)

    def __init__(self, services: Services, parent: QWidget) -> None:
        """Show the models as they are listed now."""
        super().__init__(_WIDTH, parent)
        self._services = services
        self._facts: ModelFacts | None = None
        self._stop = threading.Event()
        self.setWindowTitle(self.tr("My models"))
        self._list = QListWidget()
        self._list.setObjectName("offers")
        self._list.setMinimumHeight(_LOWEST_LIST)
        self._list.setAccessibleName(self.tr("My models"))
        self._list.currentItemChanged.connect(lambda *_: self._look())
        self._words = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._words.setObjectName("modelFacts")
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._said = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._said.setObjectName("muted")
        self._bar = QProgressBar(textVisible=False, maximum=_PARTS)
        self._bar.setFixedHeight(4)
        self._bar.hide()
        self._lay_out()
        services.library.changed.connect(self._fill)
        services.newer.looked.connect(self._looked)
        services.newer.failed.connect(self._failed)
        services.models.changed.connect(self._show)  # no lambda: that would be called when this dialog is gone
        self._fill()

    @property
    def _model(self) -> InstalledModel | None:
        item = self._list.currentItem()
        model = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        return model if isinstance(model, InstalledModel) else None

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 16, 20, 8)
        column.setSpacing(10)
        for part in (self._list, self._words, self._bar, self._said):
            column.addWidget(part)
        self._own, self._folder, self._verify, self._rename, self._export, self._unload, self._remove = (
            QPushButton(words)
            for words in (
                self.tr("Settings of its own…"),
                self.tr("Show in the folder"),
                self.tr("Verify"),
                self.tr("Rename…"),
                self.tr("Export…"),
                self.tr("Unload"),
                self.tr("Remove…"),
            )
        )
        self._own.clicked.connect(self._open_settings)
        self._folder.clicked.connect(self._open_folder)
        self._verify.clicked.connect(self._begin_verifying)
        self._rename.clicked.connect(self._ask_name)
        self._export.clicked.connect(self._ask_file)
        self._unload.clicked.connect(self._services.unload_model)
        self._remove.clicked.connect(self._ask_removal)
        twice, newer = QPushButton(self.tr("Find duplicates…")), QPushButton(self.tr("Look for newer ones"))
        twice.clicked.connect(self._find_duplicates)
        newer.clicked.connect(self._look_for_newer)
        grid = QGridLayout()
        buttons = (self._own, self._rename, self._folder, self._verify, self._export, self._unload, self._remove)
        for place, button in enumerate(buttons):
            grid.addWidget(button, place // 4, place % 4)
        close = QDialogButtonBox()
        for button in (twice, newer):  # of all models
            close.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        close.addButton(self.tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        close.rejected.connect(self.reject)
        below = QWidget()
        under = QVBoxLayout(below)
        under.setContentsMargins(0, 0, 0, 0)
        under.addLayout(grid)
        under.addWidget(close)
        self.set_content(page, below)

    def done(self, result: int) -> None:
        """Stop what is being read."""
        self._stop.set()
        super().done(result)

    def _fill(self) -> None:
        chosen = self._model
        self._list.clear()
        for model in self._services.library.models:
            item = QListWidgetItem(f"{model.label or model.name}   ·   {model.file_type}   ·   {size(model.bytes)}")
            item.setData(Qt.ItemDataRole.UserRole, model)
            self._list.addItem(item)
            if chosen is not None and model.path == chosen.path:
                self._list.setCurrentItem(item)
        if self._list.currentItem() is None and self._list.count():
            self._list.setCurrentRow(0)

    def _look(self) -> None:
        self._facts = None
        self._stop.set()
        self._said.clear()
        model = self._model
        self._show()
        if model is not None:
            self._services.model_care.find_facts(model, self, self._found)

    def _found(self, facts: ModelFacts) -> None:
        if self._model is not None and facts.model.path == self._model.path:
            self._facts = facts
            self._show()

    def _show(self) -> None:
        model, facts = self._model, self._facts
        in_use = model is not None and self._services.models.state.model == model
        known = model is not None and facts is not None
        self._offer(model, known=known, in_use=in_use)
        self._words.setText("" if facts is None else "\n".join(self._lines(facts)))
        self.fit()

    def _offer(self, model: InstalledModel | None, *, known: bool, in_use: bool) -> None:
        none, starter = model is None, model is not None and model.starter
        comes_with = self.tr("This model comes with Zhiyin: it keeps its name and stays.")
        for button in (self._folder, self._verify, self._export):
            enable(button, {UNCHOSEN: none, READING: not known})
        enable(self._own, {UNCHOSEN: none})
        used = self.tr("This model is in use; unload it first.")
        enable(self._rename, {UNCHOSEN: none, comes_with: starter, used: in_use, READING: not known})
        enable(self._unload, {UNCHOSEN: none, self.tr("This model is not loaded."): not in_use})
        enable(self._remove, {UNCHOSEN: none, comes_with: starter})

    def _lines(self, facts: ModelFacts) -> list[str]:
        model = facts.model
        unknown = self.tr("not known")
        origin = model.origin or unknown
        made = self.tr("{origin}, converted here") if facts.made_here else self.tr("{origin}, as it was published")
        words = made.format(origin=origin) if model.origin else unknown
        if model.starter:
            words = self.tr("{origin}, comes with Zhiyin").format(origin=STARTER_ORIGIN)
        used = QDateTime.fromSecsSinceEpoch(int(facts.used))
        when = QLocale().toString(used, QLocale.FormatType.ShortFormat) if facts.used else unknown
        return [
            self.tr("From: {origin}").format(origin=words),
            self._revision(facts),
            self.tr("Licence: {licence}").format(licence=facts.licence or unknown),
            self.tr("SHA-256, as its host lists it: {digest}").format(digest=model.sha256 or unknown),
            self.tr("Loaded last: {time}").format(time=when),
            self.tr("Settings of its own: {names}").format(names=self._own_settings(model) or self.tr("none")),
            self.tr("File: {path}").format(path=model.path),
        ]

    def _revision(self, facts: ModelFacts) -> str:
        if facts.newer:
            words = self.tr(
                "Revision: {revision}; {newer} is published now, with other bytes: download it again to have it"
            )
            return words.format(revision=facts.commit, newer=facts.newer)
        return self.tr("Revision: {revision}").format(revision=facts.commit or self.tr("not known"))

    def _own_settings(self, model: InstalledModel) -> str:
        """Return the names of what is set for a model."""
        own = model.own
        names = {
            self.tr("instructions"): own.instructions is not None,
            self.tr("context"): own.context is not None,
            self.tr("threads"): bool(own.threads),
            self.tr("choice of words"): bool(own.sampling),
        }
        return self.tr(", ").join(name for name, is_set in names.items() if is_set)

    def _open_settings(self) -> None:
        from desktop_app.ui.models.model_settings_dialog import ModelSettingsDialog

        if (model := self._model) is not None:
            dialog = ModelSettingsDialog(self._services, model, self)
            dialog.failed.connect(self._failed)
            dialog.open()

    def _open_folder(self) -> None:
        if self._model is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._model.path.parent)))

    def _ask_removal(self) -> None:
        self._ask_removal_of(self._model)

    def _ask_removal_of(self, model: InstalledModel | None) -> None:
        self.removal_asked.emit(model)
        self.accept()  # what is asked then is in front of the window

    def _find_duplicates(self) -> None:
        from desktop_app.ui.models.duplicates_dialog import DuplicatesDialog

        dialog = DuplicatesDialog(self._services, self)
        dialog.removal_asked.connect(self._ask_removal_of)
        dialog.open()

    def _look_for_newer(self) -> None:
        self._said.setText(self.tr("Asking the hosts of your models…"))
        self._services.newer.look()

    def _looked(self, is_any: bool, errors: list[Exception]) -> None:
        words = self.tr("Some of your models were published anew; the revision of each says so.")
        none = self.tr("None of your models was published anew.")
        self._look()
        self._tell("\n".join([words if is_any else none if not errors else "", *map(translated, errors)]).strip())

    def _begin_verifying(self) -> None:
        model = self._model
        if model is None:
            return
        self._said.setText(self.tr("Reading the whole file…"))
        self._bar.setValue(0)
        self._bar.show()
        self._stop.set()
        care, done = self._services.model_care, partial(self._verified, model)
        self._stop = care.verify(model, self, self._read, done, self._failed)

    def _read(self, done: int, total: int) -> None:
        self._bar.setValue(round(_PARTS * done / max(1, total)))

    def _verified(self, model: InstalledModel, digest: str) -> None:
        same = self.tr("The file is whole, and has the checksum that its host lists: {digest}.")
        intact = self.tr("The file is whole. Its checksum is {digest}; its host listed none to compare it with.")
        self._tell((same if model.sha256 else intact).format(digest=digest))

    def _failed(self, error: Exception) -> None:
        self._tell(translated(error))

    def _tell(self, words: str) -> None:
        self._bar.hide()
        self._said.setText(words)
        self.fit()

    def _ask_name(self) -> None:
        if (model := self._model) is None:
            return
        name = ask_name(self, self.tr("Rename"), self.tr("New name:"), model.name)
        if name not in ("", model.name):
            self._services.model_care.rename(model, name, self._failed)

    def _ask_file(self) -> None:
        if (model := self._model) is None:
            return
        from desktop_app.library.packs import SUFFIX

        chosen, _ = QFileDialog.getSaveFileName(self, self.tr("Export the model"), f"{model.name}{SUFFIX}")
        if chosen:
            self._said.setText(self.tr("Writing {path}…").format(path=chosen))
            written = self.tr("{path} can be opened by Zhiyin on any computer.").format(path=chosen)
            self._stop.set()
            care = self._services.model_care
            self._stop = care.export(model, Path(chosen), self, lambda: self._tell(written), self._failed)
