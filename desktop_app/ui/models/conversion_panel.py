"""The conversions and downloads under way: how far they are, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QEvent, QLocale, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.jobs import ConversionJob
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import duration, number, size
from desktop_app.ui.i18n.sentences import paragraph, translated
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.enabling import STOPPING, enable
from desktop_app.ui.widgets.icons import IconButton
from desktop_app.ui.widgets.restyling import restyle

if TYPE_CHECKING:
    from converter.hub.cleanup import KeptDownload
    from converter.progress import Progress, Retry
    from desktop_app.library.install import InstallRequest
    from desktop_app.library.other_hosts import OtherHost
    from desktop_app.ui.markdown.code_box import CodeBox

_OF_THE_SETTINGS = frozenset(
    {"bad-answer", "busy", "endpoint", "name-resolution", "refused", "stalled", "tls", "token", "unreachable"}
)
"""Codes of failures that another address or token in the settings can help against."""
_PARTS = 1000


class ConversionCard(QFrame):
    """One job: its progress with a button to stop it, then its outcome with what to do next."""

    chat_asked = Signal(InstalledModel)
    again_asked = Signal()
    elsewhere_asked = Signal(object)
    """An `InstallRequest`: to be fetched from another host."""
    settings_asked = Signal()
    stop_asked = Signal()
    pause_asked = Signal()
    resume_asked = Signal()
    move_asked = Signal(int)
    """-1: earlier; 1: later."""
    delete_asked = Signal(object)
    """A `KeptDownload`."""
    closed = Signal()

    def __init__(self, job: ConversionJob, parent: QWidget | None = None) -> None:
        """Show the job as it stands."""
        from desktop_app.ui.models.host_buttons import HostButtons

        super().__init__(parent)
        self.job = job
        self.setObjectName("conversionCard")
        self._name = ElidedLabel()
        self._name.setObjectName("conversionName")
        self._words = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._words.setObjectName("conversionWords")
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._words.setMinimumWidth(80)
        self._details = QPushButton()
        self._details.setCheckable(True)
        self._details.setObjectName("details")
        self._details.toggled.connect(self._fold)
        self._log: CodeBox | None = None
        self._download: KeptDownload | None = None
        self._delete = QPushButton()
        self._delete.setObjectName("more")
        self._delete.clicked.connect(lambda: self.delete_asked.emit(self._download))
        self._bar = QProgressBar(textVisible=False, maximum=_PARTS)
        self._bar.setFixedHeight(4)
        buttons = self._make_buttons()
        layout = QGridLayout(self)
        layout.setContentsMargins(14, 8, 10, 10)
        layout.setHorizontalSpacing(12)
        layout.setVerticalSpacing(4)
        layout.addWidget(self._name, 0, 0)
        layout.addLayout(buttons, 0, 1)
        layout.addWidget(self._words, 1, 0, 1, 2)
        layout.addWidget(self._bar, 2, 0, 1, 2)
        layout.addWidget(self._details, 3, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._delete, 5, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        self._elsewhere = HostButtons()
        self._elsewhere.chosen.connect(self.elsewhere_asked)
        layout.addWidget(self._elsewhere, 6, 0, 1, 2)
        self._grid = layout
        layout.setColumnStretch(0, 1)
        self.refresh()

    def _make_buttons(self) -> QHBoxLayout:
        """Make the buttons of the first line, and lay them out."""
        self._stop, self._pause, self._resume, self._chat, self._again, self._settings = (
            QPushButton() for _ in range(6)
        )
        self._up, self._down = IconButton("up", size=16), IconButton("down", size=16)
        self._up.clicked.connect(lambda: self.move_asked.emit(-1))
        self._down.clicked.connect(lambda: self.move_asked.emit(1))
        self._pause.clicked.connect(self.pause_asked)
        self._resume.clicked.connect(self.resume_asked)
        self._chat.setObjectName("primary")
        self._close = IconButton("close", size=16)
        self._stop.clicked.connect(self.stop_asked)
        self._chat.clicked.connect(lambda: self.chat_asked.emit(self.job.model))
        self._again.clicked.connect(self.again_asked)
        self._settings.clicked.connect(self.settings_asked)
        self._close.clicked.connect(self.closed)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (
            *(self._up, self._down, self._pause, self._resume, self._stop),
            *(self._chat, self._again, self._settings, self._close),
        ):
            buttons.addWidget(button)
        return buttons

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.refresh()

    def show_order(self, *, up: bool, down: bool) -> None:
        """Offer to let the job come earlier or later, where that is possible."""
        for button, possible in ((self._up, up), (self._down, down)):
            enable(button, {self.tr("Nothing waits there."): not possible})
            button.setVisible(up or down)

    def refresh(self) -> None:
        """Show the job as it stands now."""
        job = self.job
        self._up.set_words(self.tr("Move up"))
        self._down.set_words(self.tr("Move down"))
        self._pause.setText(self.tr("Pause"))
        self._resume.setText(self.tr("Go on"))
        self._pause.setVisible(job.can_pause)
        self._resume.setVisible(job.state == "paused")
        self._stop.setText(self.tr("Undo") if job.held else self.tr("Cancel"))
        self._chat.setText(self.tr("Chat now"))
        self._again.setText(self.tr("Try again"))
        self._settings.setText(self.tr("Settings"))
        self._close.set_words(self.tr("Close"))
        self._stop.setVisible(not job.is_over)
        enable(self._stop, {STOPPING: job.state == "stopping"})
        self._chat.setVisible(job.state == "done")
        self._again.setVisible(job.state == "failed")
        self._settings.setVisible(
            job.state == "failed" and job.error is not None and job.error.code in _OF_THE_SETTINGS
        )
        self._close.setVisible(job.is_over)
        self._bar.setVisible(job.state not in ("waiting", "paused", "done", "failed"))
        self._details.setVisible(bool(job.details))
        self._name_details()
        self.offer_to_delete(self._download)
        name = job.model.name if job.model is not None else job.name
        waits = self.tr("{name} · waits for the one before it").format(name=name)
        held = self.tr("{name} · {size} to download, begins in a moment").format(name=name, size=size(job.fetches))
        paused = self.tr("{name} · paused").format(name=name)
        named = {"waiting": waits, "paused": paused}.get(job.state, name)
        self._name.set_whole(held if job.held else named)
        self._words.setText(self._status())
        self._words.setVisible(job.state not in ("waiting", "paused"))
        self.setProperty("kind", "failure" if job.state == "failed" else "plain")
        for widget in (self, self._words, self._name):
            restyle(widget)
        self.show_progress(job.progress)

    def offer_hosts(self, hosts: Sequence[OtherHost]) -> None:
        """Offer other hosts to fetch it from."""
        self._elsewhere.offer(hosts)

    def offer_to_delete(self, download: KeptDownload | None) -> None:
        """Offer to delete what the model was made of; None: nothing is left of it, or it was here before."""
        self._download = download
        self._delete.setVisible(download is not None)
        if download is not None:
            self._delete.setText(self.tr("Delete the download ({size})").format(size=size(download.bytes)))

    def _fold(self, shown: bool) -> None:
        from desktop_app.ui.markdown.code_box import CodeBox

        if self._log is None:
            self._log = CodeBox()
            self._grid.addWidget(self._log, 4, 0, 1, 2)
        self._log.setVisible(shown)
        self._name_details()

    def _name_details(self) -> None:
        words = self.tr("Details")
        self._details.setText(f"{words}  {'▾' if self._details.isChecked() else '▸'}")
        self._details.setAccessibleName(words)
        if self._log is not None:
            self._log.set_code(self.job.details, self.tr("log"))

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far it is."""
        self._pause.setVisible(self.job.can_pause)
        if self.job.state != "running" or progress is None:
            self._bar.setMaximum(0 if self.job.state in ("preparing", "running", "stopping") else _PARTS)
            return
        self._bar.setMaximum(_PARTS)
        self._bar.setValue(round(_PARTS * progress.bytes_done / max(1, progress.bytes_total)))
        self._words.setText(self._progress_words(progress))

    def _status(self) -> str:
        job = self.job
        if job.state == "stopping":
            return self.tr("Pausing…") if job.pausing else self.tr("Stopping…")
        if job.state == "failed":
            return translated(job.error) if job.error is not None else ""
        if job.state == "done":
            return self._outcome()
        return self.tr("Preparing…")

    def _outcome(self) -> str:
        made = self.job.installed.conversion if self.job.installed is not None else None
        if made is None:
            return self.tr("It is ready.")
        checked = self.tr("Checked: all {count} tensors are as they should be.").format(count=made.verification.tensors)
        smoke = () if made.verification.smoke_load is None else (made.verification.smoke_load,)
        return paragraph((checked, *map(translated, (*smoke, *made.warnings))))

    def _progress_words(self, progress: Progress) -> str:
        if progress.phase == "calibrating":
            percent = int(100 * progress.bytes_done / max(1, progress.bytes_total))
            phases = {
                "read": self.tr("The whole model reads a text: {percent} %"),
                "sensitivity": self.tr("Trying each type on each tensor: {percent} %"),
                "probe": self.tr("Measuring what coarser types cost the answers: {percent} %"),
            }
            converts = self.tr("Preparing the whole model for the text: {percent} %")
            return phases.get(progress.item, converts).format(percent=percent)
        if progress.retry is not None:
            return self._retry_words(progress.retry)
        if not progress.bytes_total:
            return self.tr("Waiting for the host, which says nothing yet…")
        texts = {
            "downloading": self.tr("Downloading: {done} of {total}, file {item} of {items}"),
            "converting": self.tr("Converting: {done} of {total}, {item} of {items} tensors"),
            "checking": self.tr("Checking: {done} of {total}, {item} of {items} tensors"),
        }
        if progress.resumed:
            texts["downloading"] = self.tr("Going on with the download: {left} of {total} left, file {item} of {items}")
        item = progress.items_done
        if progress.phase == "downloading":
            item = min(item + 1, progress.items_total)
        parts = [
            texts[progress.phase].format(
                done=size(progress.bytes_done),
                left=size(progress.bytes_left),
                total=size(progress.bytes_total),
                item=number(item, 0),
                items=number(progress.items_total, 0),
            ),
            self.tr("nothing comes at the moment")
            if progress.stalled
            else self.tr("{size} a second").format(size=size(round(progress.bytes_per_second))),
        ]
        if progress.mirror:
            parts.append(self.tr("from {host}").format(host=progress.mirror))
        if progress.bytes_done >= progress.bytes_total and progress.phase == "checking":
            return self.tr("Trying it out…")
        if progress.seconds_left is not None:
            parts.append(self.tr("{time} left").format(time=duration(progress.seconds_left)))
        return " · ".join(parts)

    def _retry_words(self, retry: Retry) -> str:
        at = QLocale().toString(QDateTime.fromSecsSinceEpoch(round(retry.at)).time(), "HH:mm:ss")
        words = self.tr("{reason}: trying again at {time}").format(reason=translated(retry.reason), time=at)
        return words[:1].upper() + words[1:]


class ConversionPanel(QWidget):
    """A card for each job that is not over, in their order, and for the outcomes that nobody has closed."""

    chat_asked = Signal(InstalledModel)
    settings_asked = Signal()

    def __init__(self, bridge: ConversionBridge, parent: QWidget | None = None) -> None:
        """Follow the bridge."""
        super().__init__(parent)
        self._bridge = bridge
        self._cards: dict[ConversionJob, ConversionCard] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        bridge.changed.connect(self._refresh)
        bridge.progressed.connect(self._show_progress)
        self._refresh()

    def _refresh(self) -> None:
        queue = self._bridge.queue
        shown = [*queue.jobs, *queue.shown_outcomes]
        for job in self._cards.keys() - set(shown):
            self._remove(job)
        for place, job in enumerate(shown):
            if job not in self._cards:
                self._add(job)
            card = self._cards[job]
            if self._column.indexOf(card) != place:
                self._column.insertWidget(place, card)
            card.refresh()
            card.show_order(up=queue.can_move(job, -1), down=queue.can_move(job, 1))
            card.offer_hosts(self._bridge.other_hosts(job.request, job.error) if job.state == "failed" else [])
        self.setVisible(bool(shown))
        if any(job.state == "done" for job in shown):
            self._bridge.find_downloads(self, self._offer_to_delete)

    def _offer_to_delete(self, kept: list[KeptDownload]) -> None:
        """Let each card of a model that was downloaded offer to delete the download."""
        by_model = {path.resolve(): download for download in kept for path in download.models}
        for job, card in self._cards.items():
            card.offer_to_delete(by_model.get(job.model.path) if job.model is not None else None)

    def _add(self, job: ConversionJob) -> None:
        from desktop_app.ui.models.delete_downloads import DeletionQuestion

        card = self._cards[job] = ConversionCard(job)
        card.settings_asked.connect(self.settings_asked)
        card.stop_asked.connect(lambda: self._bridge.cancel(job))
        card.delete_asked.connect(lambda kept: DeletionQuestion([kept], self._bridge, self.window()).open())
        card.pause_asked.connect(lambda: self._bridge.pause(job))
        card.resume_asked.connect(lambda: self._bridge.resume(job))
        card.move_asked.connect(lambda steps: self._bridge.move(job, steps))
        card.closed.connect(lambda: self._bridge.dismiss(job))
        card.again_asked.connect(lambda: self._try_again(job, job.request))
        card.elsewhere_asked.connect(lambda request: self._try_again(job, request))
        card.chat_asked.connect(lambda model: self._chat(job, model))
        self._column.addWidget(card)

    def _show_progress(self, progress: Progress, job: ConversionJob) -> None:
        if job in self._cards:
            self._cards[job].show_progress(progress)

    def _try_again(self, job: ConversionJob, request: InstallRequest) -> None:
        self._bridge.dismiss(job)
        self._bridge.install(request)

    def _chat(self, job: ConversionJob, model: InstalledModel) -> None:
        self._bridge.dismiss(job)
        self.chat_asked.emit(model)

    def _remove(self, job: ConversionJob) -> None:
        card = self._cards.pop(job)
        self._column.removeWidget(card)
        card.hide()
        card.deleteLater()
