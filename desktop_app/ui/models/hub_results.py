"""Search results of a host: a list of repositories, with what is known of each, and how it would run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from converter.hub.address import split_address
from converter.hub.request import FoundRepository
from desktop_app.library.install import InstallRequest
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_search import Fit, family_title
from desktop_app.ui.bridges.search_bridge import SearchBridge
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.catalogue_list import CatalogueList, Lines
from desktop_app.ui.models.fit import verdict_words
from models.sentence import Sentence

_REST_MS = 250
"""How long the list must stand still before what is in sight is looked at."""


@dataclass(frozen=True, eq=False)
class FoundRow:
    """A row of one repository."""

    repository: FoundRepository
    endpoint: str
    fit: Fit | None = None
    """None: not looked at yet."""

    installed: InstalledModel | None = None
    can_act = True

    @property
    def key(self) -> object:
        """Equal for the same model."""
        return self.repository

    @property
    def verdict(self) -> str:
        """`RunConfiguration.verdict`; "": not known."""
        return self.fit.verdict if self.fit is not None else ""

    @property
    def asked(self) -> InstallRequest:
        """The button's install request."""
        return InstallRequest(self.repository.source, endpoint=self.endpoint)

    def lines(self) -> Lines:
        """Return its texts in the window's language."""
        button = QCoreApplication.translate("HubResults", "Look at it")
        return Lines(
            self.repository.name, verdict_words(self.verdict), self._nature(), self._use(), "", self._problem(), button
        )

    def tip(self) -> str:
        """Return all that is known of it."""
        lines = self.lines()
        return "\n".join(text for text in (self.repository.source, lines.purpose, lines.nature, lines.warning) if text)

    def looks_like(self, other: FoundRow) -> bool:
        """Tell whether another one of the same model shows the same."""
        return self.fit == other.fit

    def _nature(self) -> str:
        repository, fit = self.repository, self.fit
        label = (
            f"{repository.parameters / 1e9:.2g}B"
            if repository.parameters
            else fit.size_label
            if fit is not None
            else ""
        )
        gated = QCoreApplication.translate("HubResults", "gated: its licence has to be accepted on its page")
        downloads = QCoreApplication.translate("HubResults", "{count} downloads")
        parts = (
            family_title(repository.architecture) or repository.architecture,
            label,
            "GGUF" if repository.gguf else "",
            repository.licence,
            downloads.format(count=number(repository.downloads, 0)) if repository.downloads else "",
            gated if repository.gated else "",
        )
        return " · ".join(part for part in parts if part)

    def _use(self) -> str:
        fit = self.fit
        if fit is None:
            return QCoreApplication.translate("HubResults", "Looking at what it needs…")
        if fit.models:
            text = QCoreApplication.translate("HubResults", "It holds {count} models; one is chosen in the next step.")
            return text.format(count=number(fit.models, 0))
        fetched = QCoreApplication.translate("HubResults", "{size} to download").format(size=size(fit.download))
        speed = QCoreApplication.translate("Fit", "about {count} tokens a second")
        parts = (
            fit.quant,
            speed.format(count=number(fit.speed, 0 if fit.speed >= 10 else 1)) if fit.speed is not None else "",
            fetched if fit.download else "",
        )
        return " · ".join(part for part in parts if part)

    def _problem(self) -> str:
        return translated(self.fit.problem) if self.fit is not None and self.fit.problem is not None else ""


class HubResults(QWidget):
    """Asks a host through the bridge and shows what it finds."""

    look_asked = Signal(InstallRequest)
    closed = Signal()

    def __init__(self, bridge: SearchBridge) -> None:
        """Begin without a search."""
        super().__init__()
        self._bridge = bridge
        self._words, self._endpoint = "", ""
        self._found: list[FoundRepository] | None = None
        self._failure: Exception | None = None
        self._waiting = ""
        """Why a busy host is asked again, and when."""
        self._note = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._back = QPushButton()
        self._back.clicked.connect(self.closed)
        self._busy = QProgressBar(textVisible=False, maximum=0)
        self._busy.setFixedHeight(3)
        self.list = CatalogueList()
        self.list.get_asked.connect(self.look_asked)
        self._resting = QTimer(self, singleShot=True, interval=_REST_MS)
        self._resting.timeout.connect(self._look)
        self.list.verticalScrollBar().valueChanged.connect(lambda _: self._resting.start())
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._note, 1)
        head.addWidget(self._back, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self._busy)
        column.addWidget(self.list, 1)
        bridge.results.connect(self._show_found)
        bridge.failed.connect(self._show_failure)
        bridge.waiting.connect(self._show_waiting)
        bridge.fitted.connect(self._show_rows)
        self._retranslate()

    def begin(self, words: str, endpoint: str) -> None:
        """Look for words at an address."""
        self._words, self._endpoint, self._found, self._failure = words, endpoint, None, None
        self._waiting = ""
        self._bridge.search(words, endpoint)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _show_found(self, repositories: list[FoundRepository]) -> None:
        self._found = repositories
        self._retranslate()
        self.list.scrollToTop()
        self._resting.start()

    def _show_failure(self, error: Exception) -> None:
        self._failure = error
        self._retranslate()

    def _show_waiting(self, reason: Sentence, seconds: float) -> None:
        words = self.tr("{reason}; it is asked again in {seconds} s.")
        self._waiting = words.format(reason=translated(reason), seconds=number(seconds, 0))
        self._retranslate()

    def _look(self) -> None:
        if self.isVisible():
            self._bridge.look([row.repository.source for row in self.list.rows_in_sight()])

    def _show_rows(self) -> None:
        fits: dict[str, Any] = self._bridge.fits
        self.list.show_rows([FoundRow(one, self._endpoint, fits.get(one.source)) for one in self._found or ()])

    def _retranslate(self) -> None:
        self._back.setText(self.tr("Back to the catalogue"))
        self.list.setAccessibleName(self.tr("Models that were found"))
        self._busy.setVisible(bool(self._words) and self._found is None and self._failure is None)
        self._note.setText(self._words_of_note())
        self._note.setObjectName("sourceFacts" if self._failure is not None else "muted")
        self._note.setProperty("kind", "failure" if self._failure is not None else "plain")
        self._note.style().polish(self._note)
        self.list.setVisible(bool(self._found))
        self._show_rows()

    def _words_of_note(self) -> str:
        host = split_address(self._endpoint).netloc or self._endpoint
        if self._failure is not None:
            return translated(self._failure)
        if self._found is None and self._waiting:
            return self._waiting
        if self._found is None:
            return self.tr("Asking {host} for “{words}”…").format(host=host, words=self._words)
        if not self._found:
            return self.tr("{host} has no model for “{words}”.").format(host=host, words=self._words)
        text = self.tr("{count} models on {host} for “{words}”, those with the most downloads first")
        return text.format(count=number(len(self._found), 0), host=host, words=self._words)
