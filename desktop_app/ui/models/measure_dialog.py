"""Quality of an installed model against its original: the result, and measuring it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from desktop_app.library.installed_model import InstalledModel
from desktop_app.planning.planner import DOES_NOT_FIT
from desktop_app.quality.kept import in_words
from desktop_app.ui.bridges.quality_bridge import QualityBridge
from desktop_app.ui.i18n.formats import model_details, number
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.model_session import ModelSession
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.enabling import STOPPING, WORKING, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.restyling import restyle

if TYPE_CHECKING:
    from desktop_app.library.measuring import MeasuringProgress
    from desktop_app.quality.kept import KeptQuality

_WIDTH = 520
_PARTS = 1000


class MeasureDialog(FittingDialog):
    """Shows one model; a measurement goes on when this is closed."""

    def __init__(
        self,
        bridge: QualityBridge,
        session: ModelSession,
        model: InstalledModel,
        others: Sequence[InstalledModel],
        parent: QWidget | None = None,
    ) -> None:
        """Look for the original."""
        super().__init__(_WIDTH, parent)
        self._bridge, self._session, self._model = bridge, session, model
        self._error: Exception | None = None
        self._title, self._details = ElidedLabel(), QLabel()
        self._title.setObjectName("dialogTitle")
        self._details.setObjectName("muted")
        self._words, self._figures, self._meaning, self._state = (QLabel(wordWrap=True) for _ in range(4))
        for label in (self._words, self._figures, self._state):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._words.setObjectName("qualityWords")
        self._figures.setObjectName("muted")
        self._meaning.setObjectName("muted")
        self._state.setObjectName("sourceFacts")
        self._label, self._originals = QLabel(), QComboBox()
        self._label.setBuddy(self._originals)
        self._originals.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._originals.setMinimumContentsLength(16)
        self._originals.currentIndexChanged.connect(self._refresh)
        self._file, self._folder = QPushButton(), QPushButton()
        self._file.clicked.connect(lambda: self._ask(QFileDialog.FileMode.ExistingFile))
        self._folder.clicked.connect(lambda: self._ask(QFileDialog.FileMode.Directory))
        self._bar = QProgressBar(textVisible=False, maximum=_PARTS)
        self._bar.setFixedHeight(4)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._measure = self._buttons.addButton("", QDialogButtonBox.ButtonRole.ActionRole)
        self._measure.setObjectName("primary")
        self._measure.clicked.connect(self._act)
        self._unload = QPushButton()
        self._unload.clicked.connect(self._measure_alone)
        self._buttons.rejected.connect(self.reject)
        self._lay_out()
        bridge.changed.connect(self._refresh)
        bridge.failed.connect(self._failed)
        bridge.find_originals(model, others, self._found)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _lay_out(self) -> None:
        original = QHBoxLayout()
        original.setSpacing(8)
        original.addWidget(self._originals, 1)
        original.addWidget(self._file)
        original.addWidget(self._folder)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(8)
        for widget in (self._title, self._details, self._words, self._figures, self._meaning, self._label):
            column.addWidget(widget)
        column.addLayout(original)
        column.addWidget(self._state)
        column.addWidget(self._unload, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._bar)
        column.addStretch()
        self.set_content(page, self._buttons)

    def _found(self, originals: list[Path]) -> None:
        if isValid(self):
            for path in originals:
                self._offer(path)
            self._originals.setCurrentIndex(0 if originals else -1)

    def _offer(self, path: Path) -> int:
        self._originals.addItem(path.name, path)
        place = self._originals.count() - 1
        self._originals.setItemData(place, str(path), Qt.ItemDataRole.ToolTipRole)
        return place

    def _ask(self, mode: QFileDialog.FileMode) -> None:
        dialog = QFileDialog(self, self.tr("Choose the original"))
        dialog.setFileMode(mode)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self._originals.setCurrentIndex(self._offer(Path(path))))
        dialog.open()

    def _act(self) -> None:
        if self._bridge.current is not None:
            self._bridge.stop()
            enable(self._measure, {STOPPING: True})
        else:
            self._error = None
            self._bridge.measure(self._model, self._originals.currentData())

    def _measure_alone(self) -> None:
        """Measure without the model of the chats, which is loaded again afterwards."""
        chats, original = self._session.state.model, self._originals.currentData()
        if chats is None or self._bridge.current is not None:
            return
        self._error = None
        session, bridge, model = self._session, self._bridge, self._model
        session.unload(lambda: bridge.measure(model, original, lambda: session.choose(chats)))
        self._refresh()

    def _can_unload(self) -> bool:
        """Tell whether the model of the chats takes the memory that was lacking."""
        chats = self._session.state.model
        lacking = self._error is not None and getattr(self._error, "code", "") == DOES_NOT_FIT
        return lacking and self._bridge.current is None and chats is not None and not chats.remote

    def _failed(self, model: InstalledModel, error: Exception) -> None:
        if model.path == self._model.path:
            self._error = error
            self._refresh()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Measure a model"))
        self._title.set_whole(self._model.label or self._model.name)
        self._details.setText(model_details(self._model))
        self._meaning.setText(
            self.tr(
                "A text of Zhiyin's own in English and Chinese is read by this model and by its original, before it was "
                "quantized, and what each expects to come next is compared. The better the computer, the sooner it is done; "
                "you may go on chatting."
            )
        )
        self._label.setText(self.tr("Its original, a checkpoint or a more exact GGUF file:"))
        self._originals.setPlaceholderText(self.tr("Not known: choose it"))
        self._unload.setText(self.tr("Unload the model of the chats meanwhile"))
        self._file.setText(self.tr("File…"))
        self._folder.setText(self.tr("Folder…"))
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setText(self.tr("Close"))
        self._refresh()

    def _refresh(self) -> None:
        job, kept = self._bridge.current, self._bridge.kept.get(self._model.path)
        mine = job is not None and job.model.path == self._model.path
        self._words.setText(translated(in_words(kept.same_top)) if kept else self.tr("It has not been measured yet."))
        self._figures.setText(self._figure_words(kept) if kept else "")
        self._figures.setVisible(kept is not None)
        for widget in (self._label, self._originals, self._file, self._folder):
            enable(widget, {WORKING: job is not None})
        self._measure.setText(self.tr("Stop") if mine else self.tr("Measure"))
        stopping = job is not None and job.stop.is_set()
        no_original = self.tr("Choose its original first.")
        enable(
            self._measure,
            {
                STOPPING: mine and stopping,
                WORKING: job is not None and not mine,
                no_original: job is None and self._originals.currentIndex() < 0,
            },
        )
        self._bar.setVisible(mine)
        self._unload.setVisible(self._can_unload())
        words = self._state_words()
        changed = self._state.isHidden() == bool(words)
        self._state.setText(words)
        self._state.setProperty("kind", "failure" if self._error is not None and job is None else "plain")
        restyle(self._state)
        self._state.setVisible(bool(words))
        if mine and job is not None and job.progress is not None:
            self._bar.setValue(round(_PARTS * job.progress.part))
        if changed:
            self.fit()

    def _state_words(self) -> str:
        job = self._bridge.current
        if job is None:
            return translated(self._error) if self._error is not None else ""
        if job.model.path != self._model.path:
            return self.tr("{name} is being measured; this one can be when that is done.").format(name=job.model.name)
        if job.stop.is_set():
            return self.tr("Stopping…")
        return self.tr("Preparing…") if job.progress is None else self._progress_words(job.progress)

    def _progress_words(self, progress: MeasuringProgress) -> str:
        texts = {
            "convert": self.tr("Converting the original: {percent} %"),
            "load": self.tr("Loading: {percent} %"),
            "reference": self.tr("The original reads the text: {percent} %"),
            "measure": self.tr("This model reads the text: {percent} %"),
        }
        return texts[progress.phase].format(percent=int(100 * progress.part))

    def _figure_words(self, kept: KeptQuality) -> str:
        text = self.tr(
            "KL divergence {kl} · perplexity {perplexity}, the original's {reference} · {tokens} tokens · held to {name}"
        )
        return text.format(
            kl=number(kept.kl_mean, 4),
            perplexity=number(kept.perplexity, 2),
            reference=number(kept.perplexity_reference, 2),
            tokens=number(kept.tokens, 0),
            name=kept.reference,
        )
