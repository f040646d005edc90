"""A LoRA adapter that was dropped on the window: asks for its base, shows the plan, and merges."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from converter.checkpoint.lora import Adapter
from converter.pipeline import ConversionPlan, ConversionResult, ConvertRequest, convert, plan
from converter.progress import Progress
from desktop_app.automatic import choose_quant
from desktop_app.paths import downloads_folder, models_folder
from desktop_app.trial import try_out
from desktop_app.ui.background import Background
from desktop_app.ui.core_sentences import translated
from desktop_app.ui.formats import size
from models.errors import Cancelled


class AdapterDialog(QDialog):
    """Merges one adapter into a base that the person chooses; the result lies in the models folder."""

    merged = Signal(str)
    """The path of the new model."""

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        """Begin with the base that the adapter names, where it is here.

        Raises:
            ZhiyinError: the adapter cannot be used.
        """
        super().__init__(parent)
        self._adapter = Adapter(path)
        self._base: Path | None = None
        self._plan: ConversionPlan | None = None
        self._stop = False
        self._background = Background("adapter", self)
        self._intro, self._steps = QLabel(wordWrap=True), QLabel(wordWrap=True)
        self._steps.setObjectName("adapterPlan")
        for label in (self._intro, self._steps):
            label.setTextFormat(Qt.TextFormat.PlainText)  # names are the adapter's own words
        self._choose = QPushButton()
        self._choose.clicked.connect(self._ask_for_base)
        self._bar = QProgressBar(textVisible=False, maximum=1000)
        self._bar.hide()
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._buttons.accepted.connect(self._merge)
        self._buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(12)
        for widget in (self._intro, self._choose, self._steps, self._bar, self._buttons):
            layout.addWidget(widget)
        self.setMinimumWidth(min(520, parent.width()) if parent else 520)
        self._retranslate()
        named = _named_base(self._adapter)
        if named is not None:
            self.set_base(named)

    def set_base(self, base: Path) -> None:
        """Take a model's folder as the base, and show what would be done."""
        self._base, self._plan = base, None
        self._retranslate()
        request = self._request(base)
        self._background.run(lambda: plan(request), partial(self._planned, base), self._refused)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def done(self, result: int) -> None:
        """Stop what is under way; nothing of it is left."""
        self._stop = True
        self._background.close()
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
        merge.setEnabled(self._plan is not None)
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))
        if self._plan is not None:
            steps = "\n".join(translated(step) for step in self._plan.steps)
            result = self.tr("Result: {name} ({quant}, {size})")
            sentence = result.format(name=self._plan.out.name, quant=self._plan.recipe.name, size=size(self._plan.size))
            self._say(f"{steps}\n{sentence}")

    def _ask_for_base(self) -> None:
        dialog = QFileDialog(self, self.tr("The folder of the model that the adapter was trained on"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(lambda folder: self.set_base(Path(folder)))
        dialog.open()

    def _request(self, base: Path, out: Path | None = None, quant: str = "auto") -> ConvertRequest:
        return ConvertRequest(base, out, quant, choose=choose_quant, lora=(self._adapter.path,))

    def _planned(self, base: Path, found: ConversionPlan) -> None:
        if base == self._base:
            self._plan = found
            self._retranslate()

    def _merge(self) -> None:
        if self._plan is None or self._base is None:
            return
        request = self._request(self._base, _free_name(models_folder() / self._plan.out.name), self._plan.recipe.name)
        self._choose.setEnabled(False)
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(False)
        self._bar.show()
        self._background.run(
            lambda: convert(request, self._tell, cancelled=lambda: self._stop, trial=try_out),
            self._finish,
            self._refused,
        )

    def _tell(self, progress: Progress) -> None:
        """Pass progress on from the converter's thread."""
        part = round(1000 * progress.bytes_done / max(1, progress.bytes_total))
        self._background.post(lambda: self._bar.setValue(part))

    def _finish(self, result: ConversionResult) -> None:
        self.merged.emit(str(result.path))
        self.accept()

    def _refused(self, error: Exception) -> None:
        if isinstance(error, Cancelled):
            return
        self._bar.hide()
        self._choose.setEnabled(True)
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(self._plan is not None)
        self._say(translated(str(error)))

    def _say(self, text: str) -> None:
        """Show a text and make room for it."""
        self._steps.setText(text)
        self._steps.setMinimumHeight(self._steps.heightForWidth(self._steps.width()))
        self.adjustSize()


def _named_base(adapter: Adapter) -> Path | None:
    """Return the folder of the base that an adapter names: a path on this computer, or what was fetched of a repository."""
    name = adapter.base_name
    folders = (Path(name), downloads_folder() / name.replace("/", "--"))
    return next((folder for folder in folders if name and (folder / "config.json").is_file()), None)


def _free_name(path: Path) -> Path:
    """Return the path, or the next one with a number that no file has."""
    candidates = (path, *(path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000)))
    return next(candidate for candidate in candidates if not candidate.exists())
