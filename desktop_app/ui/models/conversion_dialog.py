"""Before a conversion: what the source is, which quantizations it can become, how they fit, and where the file will be."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QListWidget,
    QProgressBar,
    QPushButton,
    QTabBar,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from converter.hub.request import Description
from desktop_app.library.install import InstallRequest, unused_path
from desktop_app.library.mixture_offers import mixture_offers
from desktop_app.library.source_facts import Assessment, SourceFacts, ways
from desktop_app.paths import downloads_folder, free_space, models_folder
from desktop_app.planning.footprint import RunShape, uses_graph_runner
from desktop_app.quality.chunks import CONTEXT
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.sentences import paragraph, translated
from desktop_app.ui.models.calibration_choice import CalibrationChoice
from desktop_app.ui.models.fit import (
    COLOURS,
    choice_words,
    quality_meaning,
    quality_words,
    reason,
    speed_number,
    speed_words,
    verdict_words,
)
from desktop_app.ui.models.host_buttons import HostButtons
from desktop_app.ui.models.mixture_choice import MixtureChoice
from desktop_app.ui.models.model_details import ModelDetails
from desktop_app.ui.models.way_choice import WayChoice
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.enabling import READING, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.icons import icon
from desktop_app.ui.widgets.restyling import restyle

_WIDTH = 620
_ROWS = 10
"""Of the list of a repository's models; more are scrolled."""
_QUANT = Qt.ItemDataRole.UserRole
_FINE = ("F16", "Q8_0")
"""Quantizations that an importance matrix changes nothing in."""
_MEASURED = "measured"
"""The row of the mixture by measurement."""


class ConversionDialog(FittingDialog):
    """Looks at one source and, when asked, lets the bridge install it."""

    def __init__(self, bridge: ConversionBridge, request: InstallRequest, parent: QWidget | None = None) -> None:
        """Begin to look."""
        super().__init__(_WIDTH, parent)
        self._bridge = bridge
        self._request = request
        self._facts: SourceFacts | None = None
        self._assessment: Assessment | None = None
        self._judged = False
        self._touched = False
        """The user chose a quantization."""
        self._failure: Exception | None = None
        self._look, self._card_look = threading.Event(), threading.Event()
        self._settled = QTimer(self, singleShot=True, interval=50)
        self._settled.timeout.connect(self.fit)
        self._calibration = CalibrationChoice()
        self._calibration.changed.connect(self._calibration_chosen)
        self._mixture = MixtureChoice()
        self._mixture.changed.connect(self._mixture_chosen)
        self._make_widgets()
        self._lay_out()
        self._retranslate()
        self._begin()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._retranslate()

    def done(self, result: int) -> None:
        """Stop looking."""
        self._look.set()
        self._card_look.set()
        super().done(result)

    def _make_widgets(self) -> None:
        self._title = ElidedLabel()
        self._title.setObjectName("dialogTitle")
        self._path = ElidedLabel()
        self._path.setObjectName("muted")
        self._tabs = QTabBar(expanding=False)
        for _ in range(3):
            self._tabs.addTab("")
        self._tabs.setVisible(isinstance(self._request.source, str))
        self._tabs.currentChanged.connect(self._turn)
        self._choice, self._details = QWidget(), ModelDetails()
        self._details.hide()
        self._details.asked.connect(self._read_card)
        self._about, self._notes, self._why, self._disk = (QLabel(wordWrap=True) for _ in range(4))
        for label in (self._about, self._notes, self._why, self._disk):
            label.setTextFormat(Qt.TextFormat.PlainText)  # names are the checkpoint's own words
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._about.setObjectName("sourceFacts")
        self._notes.setObjectName("sourceNotes")
        self._why.setObjectName("muted")
        self._disk.setObjectName("diskSpace")
        self._way = WayChoice()
        self._way.changed.connect(self._way_chosen)
        self._offers = QTreeWidget()
        self._offers.setRootIsDecorated(False)
        self._offers.setUniformRowHeights(True)
        self._offers.setColumnCount(5)
        self._offers.setObjectName("offers")
        self._offers.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._offers.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._offers.header().setStretchLastSection(False)
        self._offers.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self._offers.header().setSectionResizeMode(4, QHeaderView.ResizeMode.Stretch)
        self._offers.currentItemChanged.connect(self._show_choice)
        self._models = QListWidget()
        self._models.setObjectName("offers")
        self._models.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._models.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._models.itemActivated.connect(self._choose_model)
        self._busy = QProgressBar(textVisible=False, maximum=0)
        self._busy.setFixedHeight(3)
        self._again = QPushButton()
        self._again.clicked.connect(self._begin)
        self._elsewhere = HostButtons()
        self._elsewhere.chosen.connect(self._ask_elsewhere)
        self._target = ElidedLabel()
        self._target.setObjectName("muted")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._ok = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setObjectName("primary")
        self._buttons.accepted.connect(self._go_on)
        self._buttons.rejected.connect(self.reject)

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 18, 20, 8)
        column.setSpacing(10)
        choice = QVBoxLayout(self._choice)
        choice.setContentsMargins(0, 0, 0, 0)
        choice.setSpacing(10)
        for widget in (self._title, self._path, self._tabs, self._choice, self._details):
            column.addWidget(widget)
        for widget in (
            self._busy,
            self._about,
            self._notes,
            self._way,
            self._offers,
            self._models,
            self._mixture,
            self._calibration,
            self._why,
            self._disk,
            self._target,
        ):
            choice.addWidget(widget)
        choice.addWidget(self._again, 0, Qt.AlignmentFlag.AlignLeft)
        choice.addWidget(self._elsewhere)
        column.addStretch()
        self.set_content(page, self._buttons)

    def _turn(self, tab: int) -> None:
        self._choice.setVisible(tab == 0)
        self._details.setVisible(tab != 0)
        if tab:
            self._details.show_page(files=tab == 2)
        self.fit()

    def _read_card(self) -> None:
        self._card_look.set()

        def show(description: Description) -> None:
            self._details.show_description(description)
            self.fit()

        def failed(error: Exception) -> None:
            self._details.show_failure(error)
            self.fit()

        self._card_look = self._bridge.read_card(self._request, show, failed)

    def _begin(self) -> None:
        self._details.forget()
        self._tabs.setCurrentIndex(0)
        self._facts, self._assessment, self._judged, self._failure = None, None, False, None
        self._look.set()
        self._look = self._bridge.describe(self._request, self._described, self._not_described)
        self._retranslate()

    def _described(self, facts: SourceFacts) -> None:
        self._facts = facts
        self._retranslate()
        (self._models if facts.models else self._ok).setFocus()
        if facts.offers:
            look = self._look
            self._bridge.judge(facts, lambda assessment: None if look.is_set() else self._judge(assessment))

    def _judge(self, assessment: Assessment | None) -> None:
        self._assessment, self._judged = assessment, True
        self._retranslate()
        self._settled.start()  # new widgets know their height once they have their style

    def _not_described(self, error: Exception) -> None:
        self._failure = error
        self._retranslate()
        self._again.setFocus()

    def _retranslate(self) -> None:
        facts = self._facts
        download = isinstance(self._request.source, str)
        self.setWindowTitle(self.tr("Download a model") if download else self.tr("Convert a model"))
        self._title.set_whole(facts.name if facts is not None else Path(str(self._request.source)).name)
        self._path.set_whole(str(self._request.source))
        self._path.setVisible(not download or self._title.whole != self._path.whole)
        for tab, words in enumerate((self.tr("On this computer"), self.tr("Model card"), self.tr("Files"))):
            self._tabs.setTabText(tab, words)
        self._again.setText(self.tr("Try again"))
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setText(self.tr("Cancel"))
        self._ok.setText(self._verb(download))
        self._busy.setVisible(facts is None and not self._failure)
        self._again.setVisible(bool(self._failure))
        self._elsewhere.offer(self._bridge.other_hosts(self._request, self._failure))
        self._about.setText(self._about_words(download))
        self._about.setProperty("kind", "failure" if self._failure else "plain")
        restyle(self._about)
        notes = [*facts.steps, *facts.warnings] if facts is not None else []
        self._notes.setText("\n".join(translated(note) for note in notes))
        self._notes.setVisible(bool(notes))
        self._fill_models()
        self._fill_offers()
        self._show_choice()
        self._settled.start()

    def _verb(self, download: bool) -> str:
        if self._facts is not None and self._facts.models:
            return self.tr("Go on")
        return self.tr("Download") if download else self.tr("Convert")

    def _about_words(self, download: bool) -> str:
        facts = self._facts
        if self._failure:
            return translated(self._failure)
        if facts is None:
            return self.tr("Asking what it is…") if download else self.tr("Reading what it is…")
        if facts.models:
            return self.tr("This repository holds several models. Choose one:")
        if not facts.family:
            if facts.offers:
                return self.tr("It comes ready to use (GGUF); nothing has to be converted.")
            return self.tr(
                "What it is can be told once it is here. Zhiyin then converts it to what fits this computer."
            )
        parts = [facts.family]
        if facts.parameters:
            text = self.tr("{count} parameters ({label})")
            parts.append(text.format(count=number(facts.parameters, 0), label=facts.size_label))
        if facts.is_chat is not None:
            parts.append(self.tr("chat model") if facts.is_chat else self.tr("base model: goes on with texts"))
        if facts.context:
            parts.append(self.tr("{count} tokens of context").format(count=number(facts.context, 0)))
        return " · ".join(parts)

    def _fill_models(self) -> None:
        models = self._facts.models if self._facts is not None else {}
        row = max(0, self._models.currentRow())
        self._models.clear()
        for name, count in models.items():
            self._models.addItem(f"{name} · {size(count)}")
            self._models.item(self._models.count() - 1).setToolTip(name)
        self._models.setCurrentRow(row)
        self._models.setFixedHeight(min(len(models), _ROWS) * max(1, self._models.sizeHintForRow(0)) + 6)
        self._models.setVisible(bool(models))

    def _fill_offers(self) -> None:
        facts, assessment = self._facts, self._assessment
        chosen = self._chosen() if self._touched else ""
        self._offers.blockSignals(True)
        self._offers.clear()
        heads = (self.tr("Quality"), self.tr("Tokens/s"), self.tr("On this computer"))
        self._offers.setHeaderLabels([self.tr("Quantization"), self.tr("Size"), *heads])
        self._offers.headerItem().setToolTip(2, quality_meaning())
        planned = assessment.quant if assessment is not None else facts.usual if facts is not None else ""
        self._way.offer(facts if assessment is not None or self._judged else None, planned)
        offered = self._offered()
        automatic = planned if planned in offered else ""
        self._mixture.offer(
            mixture_offers(facts, assessment) if facts is not None and self._way.chosen is None else None
        )
        for quant, count in offered.items():
            way = assessment.options.get(quant) if assessment is not None else None
            judged = ("", "") if way is None else (quality_words(way), speed_number(way))
            item = QTreeWidgetItem([quant, size(count), *judged, self._badge(quant, automatic)])
            item.setToolTip(2, quality_meaning())
            item.setData(0, _QUANT, quant)
            for column in (1, 3):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            verdict = assessment.verdicts.get(quant, "") if assessment is not None else ""
            if verdict:
                item.setIcon(4, icon("fit", getattr(theme.current(), COLOURS[verdict])))
            self._offers.addTopLevelItem(item)
            if quant == (chosen if chosen in offered else automatic or min(offered, key=offered.__getitem__)):
                self._offers.setCurrentItem(item)
        self._add_mixture(is_chosen=chosen == _MEASURED)
        self._offers.setVisible(bool(offered))
        self._offers.blockSignals(False)
        rows = self._offers.topLevelItemCount()
        row = self._offers.sizeHintForRow(0) if rows else 0
        self._offers.setFixedHeight(self._offers.header().sizeHint().height() + rows * row + 4)

    def _add_mixture(self, *, is_chosen: bool) -> None:
        """Add the row of the mixture by measurement, where there is one."""
        if self._mixture.option is None:
            return
        item = QTreeWidgetItem()
        item.setData(0, _QUANT, _MEASURED)
        item.setToolTip(2, quality_meaning())
        for column in (1, 3):
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._offers.addTopLevelItem(item)
        self._show_mixture(item)
        if is_chosen:
            self._offers.setCurrentItem(item)

    def _show_mixture(self, item: QTreeWidgetItem) -> None:
        option = self._mixture.option
        assert option is not None  # noqa: S101 - its row is there
        texts = (
            self.tr("measured"),
            f"≈\u2009{size(self._mixture.file_size)}",
            quality_words(option),
            speed_number(option),
            verdict_words(option.verdict),
        )
        for column, text in enumerate(texts):
            item.setText(column, text)
        item.setIcon(4, icon("fit", getattr(theme.current(), COLOURS[option.verdict])))

    def _mixture_chosen(self) -> None:
        item = self._offers.currentItem()
        if item is not None and item.data(0, _QUANT) == _MEASURED:
            self._show_mixture(item)
        self._show_choice()
        self._settled.start()

    def _offered(self) -> Mapping[str, int]:
        """Return the bytes of each quantization by the way that is chosen, from exact to small."""
        if (ready := self._way.chosen) is not None:
            return dict(sorted(ready.files.items(), key=lambda offer: -offer[1]))
        return self._facts.offers if self._facts is not None else {}

    def _way_chosen(self) -> None:
        self._fill_offers()
        self._show_choice()
        self.fit()

    def _calibration_chosen(self) -> None:
        self._show_choice()
        self._settled.start()

    def _calibration_disk(self, quant: str) -> int | None:
        """Return what the disk has to hold while an importance matrix is made; None: the quantization needs none."""
        facts = self._facts
        if facts is None or facts.model is None or facts.ready or self._way.chosen is not None or quant in _FINE:
            return None
        model = facts.model
        if uses_graph_runner(model.architecture, model.parameters, RunShape(CONTEXT)):
            return None  # llama.cpp's own runner collects it
        exact = max(facts.offers.values(), default=None)
        return 2 * exact if exact is not None and quant == _MEASURED else exact  # the original, and one file to try

    def _badge(self, quant: str, automatic: str) -> str:
        assessment = self._assessment
        words = [verdict_words(assessment.verdicts.get(quant, ""))] if assessment is not None else []
        if quant == automatic:
            words.append(self.tr("best choice"))
        return " · ".join(word for word in words if word)

    def _chosen(self) -> str:
        item = self._offers.currentItem()
        return str(item.data(0, _QUANT)) if item is not None else ""

    def _show_choice(self, *changed: object) -> None:
        """Show what follows from the chosen quantization."""
        if changed:
            self._touched = True
        facts, quant = self._facts, self._chosen()
        ready = facts is not None
        why = ""
        if facts is not None and facts.offers and facts.model is not None:
            why = self._reasons(quant)
        self._why.setText(why)
        self._why.setVisible(bool(why))
        is_mixture = quant == _MEASURED
        disk = self._calibration_disk(quant)
        self._mixture.show_for(disk if is_mixture else None)
        self._calibration.offer(disk, required=is_mixture)
        needed, enough = self._room(facts, quant) if facts is not None and not facts.models else ("", True)
        self._disk.setText(needed)
        self._disk.setProperty("kind", "plain" if enough else "failure")
        restyle(self._disk)
        self._disk.setVisible(bool(needed))
        target = self._target_of(facts, quant) if facts is not None else None
        self._target.set_whole(self.tr("Saved as {path}").format(path=target) if target is not None else "")
        self._target.setVisible(target is not None)
        enable(self._ok, {READING: not ready, needed: not enough})
        self._ok.setVisible(not self._failure)

    def _reasons(self, quant: str) -> str:
        assessment = self._assessment
        if assessment is None:
            return "" if self._judged else self.tr("Finding out what this computer can run…")
        if assessment.plan is not None and assessment.plan.best is None:
            return translated(assessment.plan.reason)
        option = self._mixture.option if quant == _MEASURED else None
        words = (
            choice_words(assessment, quant)
            if option is None
            else "\n".join(filter(None, (reason(option), speed_words(option))))
        )
        return words.replace("\n", " · ")

    def _room(self, facts: SourceFacts, quant: str) -> tuple[str, bool]:
        """Return what the disk has to hold and has, and whether that is enough."""
        made = self._mixture.file_size if quant == _MEASURED else self._offered().get(quant, 0)
        if facts.ready or self._way.chosen is not None:
            fetched, made = made, 0
        else:
            fetched = facts.download
        free = free_space(downloads_folder())
        if fetched and made:
            text = self.tr("Download {download}, then a file of {size}; {free} are free on the disk.")
        elif fetched:
            text = self.tr("Download {download}; {free} are free on the disk.")
        else:
            text = self.tr("A file of {size}; {free} are free on the disk.")
        meanwhile = self._calibration_disk(quant) if self._calibration.chosen is not None else None
        enough = fetched + made + (meanwhile or 0) <= free
        words = text.format(download=size(fetched), size=size(made), free=size(free))
        if not enough and self._goes_file_by_file(quant) and fetched and made and facts.held + made <= free:
            text = self.tr("Each file of weights is deleted once it is converted, so {size} are enough.")
            return paragraph((words, text.format(size=size(facts.held + made)))), True
        if not enough:
            words = paragraph((words, self._other_way(facts, quant, free)))
        return words, enough

    def _goes_file_by_file(self, quant: str) -> bool:
        """Tell whether the checkpoint is read once only, so that its files need not be here together."""
        facts = self._facts
        once = quant != _MEASURED and self._calibration.chosen is None and not self._request.lora
        return once and facts is not None and facts.held > 0

    def _other_way(self, facts: SourceFacts, quant: str, free: int) -> str:
        """Say what can be done where the disk has too little room."""
        if self._way.chosen is None and any(
            cost.maker is not None and cost.disk <= free for cost in ways(facts, quant)
        ):
            return self.tr("The ready-made file fits: choose it above.")
        return self.tr("Free some, or choose a smaller one.")

    def _fetches(self, quant: str) -> int:
        """Return the bytes of the download, 0 where there is none or it is not known."""
        facts = self._facts
        if facts is None or not isinstance(self._request.source, str):
            return 0
        ready = facts.ready or self._way.chosen is not None
        return self._offered().get(quant, 0) if ready else facts.download

    def _target_of(self, facts: SourceFacts, quant: str) -> Path | None:
        if facts.model is None or not facts.file_name or self._way.chosen is not None or quant == _MEASURED:
            return None
        return unused_path(models_folder() / facts.name_in(quant))

    def _choose_model(self) -> None:
        assert self._facts is not None  # noqa: S101 - the list is shown with facts only
        name = list(self._facts.models)[self._models.currentRow()]
        self._request = replace(self._request, source=f"{self._request.source}/{name}")
        self._begin()

    def _ask_elsewhere(self, request: InstallRequest) -> None:
        self._request = request
        self._begin()

    def _go_on(self) -> None:
        if self._facts is not None and self._facts.models:
            self._choose_model()
            return
        quant, request = self._chosen() or "auto", self._request
        if (ready := self._way.chosen) is not None:
            request = replace(request, source=ready.source, revision=ready.revision)
        elif self._way.is_choice or self._calibration.chosen is not None:
            request = replace(request, way="convert")
        mixture = self._mixture.target if quant == _MEASURED else None
        request = replace(
            request,
            quant=quant if mixture is None else "auto",
            calibration=self._calibration.chosen,
            mixture=mixture,
        )
        self._bridge.install(request, fetches=self._fetches(quant))
        self.accept()
