"""The page of models that may be had: a search, a filter by what fits, and the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from converter.hub.address import split_address
from desktop_app.library.catalogue import CatalogueOffer, Overview, disk_room
from desktop_app.library.install import InstallRequest
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.jobs import ConversionJob
from desktop_app.network import ONLINE, position
from desktop_app.ui.bridges.search_bridge import SearchBridge
from desktop_app.ui.i18n.sentences import paragraph
from desktop_app.ui.models.catalogue_labels import search_text
from desktop_app.ui.models.catalogue_list import CatalogueList, Row
from desktop_app.ui.models.hub_results import HubResults
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.centred import centre
from desktop_app.ui.widgets.enabling import enable
from desktop_app.ui.widgets.icons import IconButton

_WIDEST = 860
_REST_MS = 600
"""How long nothing must be typed before a host is asked unasked."""
_SHORTEST = 3
"""Characters of what is asked for unasked."""


class CataloguePage(QWidget):
    """Chooses a model to get."""

    get_asked = Signal(CatalogueOffer)
    look_asked = Signal(InstallRequest)
    """A repository that a host found is to be shown."""
    chat_asked = Signal(InstalledModel)
    closed = Signal()

    def __init__(self, search: SearchBridge, parent: QWidget | None = None) -> None:
        """Begin empty; `search` asks hosts for what the catalogue has not."""
        super().__init__(parent)
        self._bridge = search
        self._overview: Overview | None = None
        self._jobs: Mapping[str, str] = {}
        self._searched: dict[str, str] = {}
        self._title = QLabel()
        self._title.setObjectName("title")
        self._close = IconButton("close")
        self._close.clicked.connect(self.closed)
        self._search = _SearchField()
        self._search.textChanged.connect(self._search_changed)
        self._search.down_pressed.connect(self._enter_list)
        self._search.entered.connect(self._entered)
        self._hosts = [QPushButton(), QPushButton()]
        """Search on the Hub, and on ModelScope."""
        for place, button in enumerate(self._hosts):
            button.setObjectName("filter")
            button.clicked.connect(lambda _=False, place=place: self._search_host(place))
        self._typing = QTimer(self, singleShot=True, interval=_REST_MS)
        self._typing.timeout.connect(self._search_unasked)
        self._host = 0
        """The one that was asked last."""
        self._results = HubResults(search)
        self._results.look_asked.connect(self.look_asked)
        self._results.closed.connect(self._leave_results)
        self._results.list.left_upwards.connect(self._search.setFocus)
        self._results.hide()
        self._fitting = QPushButton()
        self._fitting.setCheckable(True)
        self._fitting.setObjectName("filter")
        self._fitting.toggled.connect(self._show)
        self._note = QLabel(wordWrap=True)
        self._note.setObjectName("muted")
        self._list = CatalogueList()
        self._list.get_asked.connect(self._get)
        self._list.chat_asked.connect(self.chat_asked)
        self._list.left_upwards.connect(self._search.setFocus)
        self._empty = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._empty.setObjectName("catalogueEmpty")
        self._all = QPushButton()
        self._all.clicked.connect(self._show_all)
        self._lay_out()
        self._retranslate()

    @property
    def search_field(self) -> QLineEdit:
        """Where a search is written."""
        return self._search

    def show_overview(self, overview: Overview) -> None:
        """Show the models, as they would run now."""
        self._overview = overview
        self._searched = {}
        self._show()

    def show_jobs(self, jobs: Sequence[ConversionJob]) -> None:
        """Show how far what is being got is."""
        words = {str(job.request.source): self._job_words(job) for job in jobs}
        if words != self._jobs:
            self._jobs = words
            self._show()

    def begin(self) -> None:
        """Let the user type a search at once."""
        self._search.setFocus()
        self._search.selectAll()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        tools = QHBoxLayout()
        tools.setSpacing(8)
        tools.addWidget(self._search, 1)
        tools.addWidget(self._fitting)
        column = QVBoxLayout()
        column.setContentsMargins(20, 8, 12, 8)
        column.setSpacing(8)
        column.addLayout(head)
        column.addLayout(tools)
        elsewhere = QHBoxLayout()
        elsewhere.setSpacing(8)
        for button in self._hosts:
            elsewhere.addWidget(button)
        elsewhere.addStretch()
        column.addLayout(elsewhere)
        column.addWidget(self._note)
        column.addWidget(self._results, 1)
        column.addWidget(self._list, 1)
        column.addStretch(0)
        column.addWidget(self._empty)
        column.addWidget(self._all, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(0)
        centre(self, column, _WIDEST)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Get models"))
        self._close.set_words(self.tr("Back to the chat"), SHORTCUTS.text("stop"))
        self._search.setPlaceholderText(self.tr("Search: name, language, use"))
        self._search.setAccessibleName(self.tr("Search models"))
        self._fitting.setText(self.tr("Fits this computer"))
        self._list.setAccessibleName(self.tr("Models"))
        self._all.setText(self.tr("Show all models"))
        self._searched = {}
        self._show()

    @property
    def _on_host(self) -> bool:
        """Whether search results are shown instead of the catalogue."""
        return not self._results.isHidden()

    def _get(self, offer: CatalogueOffer) -> None:
        """Get a model, or show the ways to it where the disk has no room for the usual one."""
        free = None if self._overview is None else self._overview.free_disk
        if disk_room(offer, free) == "convert":
            self.get_asked.emit(offer)
        else:
            self.look_asked.emit(InstallRequest(offer.model.source))

    def _search_host(self, place: int) -> None:
        self._typing.stop()
        self._host = place
        self._results.show()
        self._results.begin(self._search.text().strip(), self._bridge.hosts()[place])
        self._show()

    def _leave_results(self) -> None:
        self._typing.stop()
        self._results.hide()
        self._bridge.stop()
        self._show()
        self._search.setFocus()

    def _entered(self) -> None:
        self._typing.stop()
        if self._on_host and self._search.text().strip():
            self._search_host(self._host)
        else:
            self._enter_list()

    def _show_hosts(self) -> None:
        for button, address in zip(self._hosts, self._bridge.hosts(), strict=True):
            button.setText(self.tr("Search {host}").format(host=split_address(address).netloc or address))
            button.setVisible(bool(self._search.text().strip()))

    def _search_changed(self) -> None:
        self._show()
        self._list.scrollToTop()
        self._typing.start()

    def _search_unasked(self) -> None:
        """Ask a host for what was typed, where that may be done unasked and the catalogue has nothing of the kind."""
        long_enough = len(self._search.text().strip()) >= _SHORTEST
        nothing_here = self._overview is not None and not self._rows()
        if long_enough and (self._on_host or nothing_here) and self.isVisible() and position() == ONLINE:
            self._search_host(self._host)

    def _show(self) -> None:
        rows = self._rows()
        if self._overview is not None:
            planned = any(offer.plan is not None for offer in self._overview.offers)
            enable(self._fitting, {self.tr("It is not known yet what fits."): not planned})
            self._note.setText(self._words(planned=planned))
            self._empty.setText(self._words_for_nothing())
        self._show_hosts()
        nothing = self._overview is not None and not rows and not self._on_host
        self._list.setVisible(not nothing and not self._on_host)
        self._note.setVisible(not self._on_host)
        self._fitting.setVisible(not self._on_host)
        self._empty.setVisible(nothing)
        self._all.setVisible(nothing)
        self._list.show_rows(rows)

    def _rows(self) -> list[Row]:
        if self._overview is None:
            return []
        return [
            Row(offer, self._overview.installed.get(source), self._overview.free_disk, self._jobs.get(source, ""))
            for offer in self._overview.offers
            for source in (offer.model.source,)
            if self._passes(offer) and self._is_searched(offer)
        ]

    def _passes(self, offer: CatalogueOffer) -> bool:
        filtered = self._fitting.isChecked() and self._fitting.isEnabled()
        return not filtered or (self._overview is not None and self._overview.may_fit(offer))

    def _is_searched(self, offer: CatalogueOffer) -> bool:
        words = self._search.text().lower().split()
        return all(word in self._text_of(offer) for word in words)

    def _text_of(self, offer: CatalogueOffer) -> str:
        return self._searched.setdefault(offer.model.source, search_text(offer))

    def _words(self, *, planned: bool) -> str:
        if not planned:
            return self.tr("Finding out what fits this computer…")
        overview = self._overview or Overview([])
        offers = [offer for offer in overview.offers if self._is_searched(offer)]
        text = self.tr("{count} of {total} models fit this computer now. They are converted here, after the download.")
        sentences = [text.format(count=sum(map(overview.fits, offers)), total=len(offers))]
        conditional = sum(map(overview.may_fit, offers)) - sum(map(overview.fits, offers))
        if conditional:
            text = self.tr(
                "For {count} more the disk has room only for a ready-made file, or for converting file by file."
            )
            sentences.append(text.format(count=conditional))
        if not overview.measured:
            sentences.append(
                self.tr(
                    "Other programs kept this computer too busy to measure its speed, so the smallest models come first."
                )
            )
        return paragraph(sentences)

    def _words_for_nothing(self) -> str:
        if self._search.text().strip():
            return self.tr("No model here is about “{words}”.").format(words=self._search.text().strip())
        return self.tr("No model fits this computer now; close other programs, or choose a smaller context.")

    def _job_words(self, job: ConversionJob) -> str:
        if job.state == "waiting":
            return self.tr("waits")
        if job.state == "paused":
            return self.tr("paused")
        progress = job.progress
        part = 0.0 if progress is None else progress.bytes_done / max(1, progress.bytes_total)
        texts = {"downloading": self.tr("Fetching {percent} %"), "converting": self.tr("Converting {percent} %")}
        texts["calibrating"] = self.tr("Calibrating {percent} %")
        text = texts.get("downloading" if progress is None else progress.phase, self.tr("Checking {percent} %"))
        return text.format(percent=int(100 * part))

    def _show_all(self) -> None:
        self._fitting.setChecked(False)
        self._search.clear()
        self._search.setFocus()

    def _enter_list(self) -> None:
        shown = self._results.list if self._on_host else self._list
        if shown.model().rowCount():
            shown.setFocus()
            if not shown.currentIndex().isValid():
                shown.setCurrentIndex(shown.model().index(0, 0))


class _SearchField(QLineEdit):
    """A line that the arrow key leaves downwards."""

    down_pressed = Signal()
    entered = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("catalogueSearch")
        self.setClearButtonEnabled(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        if event.key() == Qt.Key.Key_Down:
            self.down_pressed.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)
