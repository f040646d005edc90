"""The page of the first run: this computer's hardware, three models that fit, a file, or the starter at once."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_app.library.catalogue import CatalogueOffer
from desktop_app.library.first_run import FirstRun, Suggestion
from desktop_app.system.hardware import Hardware
from desktop_app.ui.i18n.formats import duration, number, size, unbroken
from desktop_app.ui.i18n.sentences import paragraph
from desktop_app.ui.i18n.translate import to_translate
from desktop_app.ui.models.catalogue_labels import everything
from desktop_app.ui.models.fit import speed_words
from desktop_app.ui.widgets.centred import CentredPage
from desktop_app.ui.widgets.elided_label import ElidedLabel

_WIDEST = 620
_PURPOSES = {
    "chinese": to_translate("FirstRun", "Best for Chinese"),
    "english": to_translate("FirstRun", "Best for English"),
    "smallest": to_translate("FirstRun", "Smallest"),
}
_MEGABIT = 1_000_000 / 8


class FirstRunPage(CentredPage):
    """Lets a newcomer choose a first model."""

    get_asked = Signal(CatalogueOffer)
    import_asked = Signal()
    catalogue_asked = Signal()
    starter_asked = Signal()
    """The user begins at once with the model that comes along."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin before anything is known."""
        super().__init__(parent)
        self._found: FirstRun | None = None
        self._has_starter = True
        self._title = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._title.setObjectName("title")
        self._computer, self._rates, self._limits = (QLabel(wordWrap=True) for _ in range(3))
        for label in (self._computer, self._rates, self._limits):
            label.setObjectName("muted")
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._cards = [_Card() for _ in _PURPOSES]
        for card in self._cards:
            card.get_asked.connect(self.get_asked)
        self._more, self._file, self._starter = QPushButton(), QPushButton(), QPushButton()
        self._more.clicked.connect(self.catalogue_asked)
        self._file.clicked.connect(self.import_asked)
        self._starter.clicked.connect(self.starter_asked)
        self.set_content(self._column(), _WIDEST)
        self._retranslate()

    def show_found(self, first_run: FirstRun | None, *, has_starter: bool) -> None:
        """Show what is offered; None: it is not known yet."""
        self._found, self._has_starter = first_run, has_starter
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addStretch(2)
        column.addWidget(self._title)
        column.addWidget(self._computer)
        column.addSpacing(4)
        for card in self._cards:
            column.addWidget(card)
        column.addWidget(self._rates)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch()
        for button in (self._more, self._file, self._starter):
            buttons.addWidget(button)
        buttons.addStretch()
        column.addLayout(buttons)
        column.addWidget(self._limits)
        column.addStretch(3)
        return column

    def _retranslate(self) -> None:
        first_run = self._found
        self._title.setText(self.tr("Choose your first model"))
        self._more.setText(self.tr("All models"))
        self._file.setText(self.tr("Add a model…"))
        self._starter.setText(self.tr("Begin at once"))
        self._starter.setVisible(self._has_starter)
        self._limits.setVisible(self._has_starter)
        self._limits.setText(
            self.tr(
                "You can begin at once with SmolLM2-135M, which comes along: a tiny model that knows English only and makes "
                "many mistakes."
            )
        )
        self._computer.setText(
            computer_words(first_run.hardware)
            if first_run is not None
            else self.tr("Finding out what fits this computer…")
        )
        shown = first_run.suggestions if first_run is not None else ()
        for place, card in enumerate(self._cards):
            card.setVisible(place < len(shown))
            if place < len(shown):
                card.show_suggestion(shown[place])
        self._rates.setText(self._rate_words(first_run) if first_run is not None else "")
        self._rates.setVisible(first_run is not None)

    def _rate_words(self, first_run: FirstRun) -> str:
        """Say what the numbers above are counted with."""
        if not first_run.suggestions:
            return self.tr("No model fits this computer now; close other programs, or choose a smaller context.")
        rate = unbroken(self.tr("{count} Mbit/s").format(count=number(first_run.rate / _MEGABIT, 0)))
        times = (
            self.tr("Times at the rate of your last download ({rate}).")
            if first_run.rate_measured
            else self.tr("Times for a connection of {rate}.")
        ).format(rate=rate)
        if first_run.speed_measured:
            return times
        return paragraph((times, self.tr("Other programs kept this computer too busy to measure its speed.")))


class _Card(QFrame):
    """One suggestion, with a button that gets it."""

    get_asked = Signal(CatalogueOffer)

    def __init__(self) -> None:
        super().__init__()
        self._offer: CatalogueOffer | None = None
        self.setObjectName("conversionCard")
        self._name, self._cost = ElidedLabel(), QLabel(wordWrap=True)
        self._name.setObjectName("conversionName")
        self._cost.setObjectName("conversionWords")
        self._get = QPushButton()
        self._get.setObjectName("primary")
        self._get.clicked.connect(lambda: self.get_asked.emit(self._offer))
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._name)
        texts.addWidget(self._cost)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 12, 8)
        row.setSpacing(12)
        row.addLayout(texts, 1)
        row.addWidget(self._get)

    def show_suggestion(self, suggestion: Suggestion) -> None:
        offer = self._offer = suggestion.offer
        purpose = QCoreApplication.translate("FirstRun", _PURPOSES[suggestion.purpose])
        self._name.set_whole(f"{purpose} · {offer.model.name}")
        self._cost.setText(cost_words(suggestion))
        self.setToolTip(everything(offer))
        get = QCoreApplication.translate("Catalogue", "Get")
        self._get.setText(get)
        self._get.setAccessibleName(f"{get}: {offer.model.name}")


def cost_words(suggestion: Suggestion) -> str:
    """Return what a suggestion costs and how fast it will write, in one line."""
    offer, parts = suggestion.offer, []
    if offer.download is not None and suggestion.seconds is not None:
        text = QCoreApplication.translate("FirstRun", "{size} to download, about {time}")
        parts.append(text.format(size=size(offer.download), time=duration(suggestion.seconds)))
    if offer.option is not None:
        parts.append(speed_words(offer.option))
    return " · ".join(part for part in parts if part)


def computer_words(hardware: Hardware) -> str:
    """Return what a computer has that counts for models, in one line."""
    one, several = (
        QCoreApplication.translate("FirstRun", "1 core"),
        QCoreApplication.translate("FirstRun", "{count} cores"),
    )
    cores = one if hardware.physical_cores == 1 else several.format(count=hardware.physical_cores)
    memory = QCoreApplication.translate("FirstRun", "{total} of memory, {free} free")
    disk = QCoreApplication.translate("FirstRun", "{free} free on the disk")
    cards = [f"{card.description}, {size(card.total_bytes)}" for card in hardware.devices if card.takes_layers]
    none = QCoreApplication.translate("FirstRun", "no graphics card for models")
    return " · ".join(
        (
            f"{hardware.processor}, {cores}",
            memory.format(total=size(hardware.total_memory), free=size(hardware.available_memory)),
            *(cards or [none]),
            disk.format(free=size(hardware.free_disk)),
        )
    )
