"""A LoRA adapter that was dropped on the window: asks for its base, shows the plan, and has it merged."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QDialogButtonBox, QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from converter.hub.manifest import folders_of
from desktop_app.library.catalogue import names_on_hubs
from desktop_app.library.install import InstallRequest
from desktop_app.library.source_facts import Assessment, SourceFacts
from desktop_app.paths import downloads_folder
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

if TYPE_CHECKING:
    from converter.checkpoint.lora import Adapter


class AdapterDialog(FittingDialog):
    """Lets the bridge merge one adapter into a base that the user chooses."""

    def __init__(self, bridge: ConversionBridge, path: Path, parent: QWidget | None = None) -> None:
        """Begin with the base that the adapter names, where it is here.

        Raises:
            ZhiyinError: the adapter cannot be used.
        """
        from converter.checkpoint.lora import Adapter

        super().__init__(520, parent)
        self._adapter = Adapter(path)
        self._bridge = bridge
        self._facts: SourceFacts | None = None
        self._quant = ""
        self._look = threading.Event()
        self._intro, self._steps = QLabel(wordWrap=True), QLabel(wordWrap=True)
        self._steps.setObjectName("adapterPlan")
        for label in (self._intro, self._steps):
            label.setTextFormat(Qt.TextFormat.PlainText)  # names are the adapter's own words
        self._choose = QPushButton()
        self._choose.clicked.connect(self._ask_for_base)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._buttons.accepted.connect(self._merge)
        self._buttons.rejected.connect(self.reject)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(20, 18, 20, 8)
        layout.setSpacing(12)
        for widget in (self._intro, self._choose, self._steps):
            layout.addWidget(widget)
        layout.addStretch()
        self.set_content(page, self._buttons)
        self._retranslate()
        named = _named_base(self._adapter)
        if named is not None:
            self.set_base(named)

    def set_base(self, base: Path) -> None:
        """Take a model's folder as the base, and show what would be done."""
        self._facts = None
        self._retranslate()
        self._look.set()
        request = InstallRequest(base, lora=(self._adapter.path,))
        self._look = self._bridge.describe(request, self._described, self._refused)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def done(self, result: int) -> None:
        """Stop looking."""
        self._look.set()
        super().done(result)

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Merge an adapter"))
        name, base = self._adapter.path.name, self._adapter.base_name
        intro = self.tr("{adapter} is a LoRA adapter: it changes another model. Choose the one that it was trained on.")
        if base:
            intro = self.tr("{adapter} is a LoRA adapter: it changes another model. It was trained on {base}.")
        self._intro.setText(intro.format(adapter=name, base=base))
        self._choose.setText(self.tr("Choose the folder of that model…"))
        merge = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        merge.setText(self.tr("Merge"))
        enable(merge, {self.tr("Choose the model that it was trained on first."): self._facts is None})
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))
        if self._facts is not None:
            steps = "\n".join(translated(step) for step in self._facts.steps)
            result = self.tr("Result: {name} ({quant}, {size})")
            made = size(self._facts.offers[self._quant])
            name = self._facts.name_in(self._quant)
            self._say(f"{steps}\n{result.format(name=name, quant=self._quant, size=made)}")

    def _ask_for_base(self) -> None:
        dialog = QFileDialog(self, self.tr("The folder of the model that the adapter was trained on"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(lambda folder: self.set_base(Path(folder)))
        dialog.open()

    def _described(self, facts: SourceFacts) -> None:
        look = self._look
        self._bridge.judge(facts, lambda assessment: None if look.is_set() else self._judged(facts, assessment))

    def _judged(self, facts: SourceFacts, assessment: Assessment | None) -> None:
        self._facts, self._quant = facts, assessment.quant if assessment is not None else facts.usual
        self._retranslate()

    def _merge(self) -> None:
        if self._facts is not None:
            self._bridge.install(replace(self._facts.request, quant=self._quant))
            self.accept()

    def _refused(self, error: Exception) -> None:
        self._say(translated(error))

    def _say(self, text: str) -> None:
        """Show a text and make room for it."""
        self._steps.setText(text)
        self.fit()


def _named_base(adapter: Adapter) -> Path | None:
    """Return the folder of the base that an adapter names: a path on this computer, or what was fetched of a repository.

    That may have come from the Hub or from ModelScope.
    """
    name = adapter.base_name
    fetched = (folder for other in names_on_hubs(name) for folder in folders_of(downloads_folder(), other))
    return next((folder for folder in (Path(name), *fetched) if name and (folder / "config.json").is_file()), None)
