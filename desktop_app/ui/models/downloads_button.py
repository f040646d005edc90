"""The button of downloads in the window's bar: nothing moves when it begins or ends."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QWidget

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.jobs import ConversionJob
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import with_keys
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.icons import icon

_LONGEST = 160
"""Pixels of a name."""
_ICON = 18


class DownloadsButton(QWidget):
    """Opens the page of downloads; beside it, what can be done at once: undo a large download, chat with a new model."""

    opened = Signal()
    chat_asked = Signal(InstalledModel)

    def __init__(self, bridge: ConversionBridge, parent: QWidget | None = None) -> None:
        """Follow the bridge."""
        super().__init__(parent)
        self._bridge = bridge
        self._button = QToolButton(autoRaise=True)
        self._button.setObjectName("downloadsButton")
        self._button.setIconSize(QSize(_ICON, _ICON))
        self._button.setCursor(Qt.CursorShape.PointingHandCursor)
        self._button.clicked.connect(self.opened)
        self._undo, self._chat = QPushButton(), QPushButton()
        self._undo.clicked.connect(self._cancel_held)
        self._chat.clicked.connect(self._chat_now)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._button)
        row.addWidget(self._undo)
        row.addWidget(self._chat)
        for signal in (bridge.changed, bridge.progressed):
            signal.connect(lambda *_: self._show())
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._show()

    @property
    def _held(self) -> ConversionJob | None:
        return next((job for job in self._bridge.queue.queued if job.held), None)

    @property
    def _ready(self) -> ConversionJob | None:
        """The model that was made last, where nothing else is to be said."""
        queue = self._bridge.queue
        last = queue.shown_outcomes[-1:] if queue.current is None and self._held is None else []
        return last[0] if last and last[0].model is not None else None

    def _show(self) -> None:
        words = self._words()
        failed = any(job.state == "failed" for job in self._bridge.queue.shown_outcomes)
        colour = theme.current().danger if failed else theme.current().accent if words else theme.current().muted
        self._button.setIcon(icon("downloads", colour, _ICON))
        self._button.setText(words)
        beside = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        self._button.setToolButtonStyle(beside if words else Qt.ToolButtonStyle.ToolButtonIconOnly)
        name = self.tr("Downloads")
        self._button.setAccessibleName(f"{name}: {words}" if words else name)
        self._button.setToolTip(with_keys(name, SHORTCUTS.text("downloads")))
        self._undo.setText(self.tr("Undo"))
        self._undo.setVisible(self._held is not None)
        self._chat.setText(self.tr("Chat now"))
        self._chat.setVisible(self._ready is not None)

    def _words(self) -> str:
        """Say in a few words what matters most."""
        queue = self._bridge.queue
        if (held := self._held) is not None:
            return self.tr("{name}: begins in a moment").format(name=self._short(held))
        if queue.current is not None:
            return self._progress_words(queue.current)
        if outcomes := queue.shown_outcomes:
            last = outcomes[-1]
            words = self.tr("{name} failed") if last.state == "failed" else self.tr("{name} is ready")
            return words.format(name=self._short(last))
        return self.tr("Paused") if queue.queued else ""

    def _progress_words(self, job: ConversionJob) -> str:
        progress = job.progress
        if progress is None or not progress.bytes_total:
            return self._short(job)
        percent = int(100 * progress.bytes_done / progress.bytes_total)
        texts = {
            "downloading": self.tr("{name} · downloading, {percent} %"),
            "converting": self.tr("{name} · converting, {percent} %"),
            "checking": self.tr("{name} · checking, {percent} %"),
        }
        return texts[progress.phase].format(name=self._short(job), percent=percent)

    def _short(self, job: ConversionJob) -> str:
        name = (job.model.label or job.model.name) if job.model is not None else job.name.rpartition("/")[2]
        return self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, _LONGEST).replace("&", "&&")

    def _cancel_held(self) -> None:
        if (held := self._held) is not None:
            self._bridge.cancel(held)

    def _chat_now(self) -> None:
        if (ready := self._ready) is not None:
            self._bridge.dismiss(ready)
            self.chat_asked.emit(ready.model)
