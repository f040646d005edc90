"""The page of downloads and conversions: what is under way, what was left over, and what came of earlier ones."""

from __future__ import annotations

from urllib.parse import urlsplit

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.other_hosts import MIRROR
from desktop_app.settings import Settings
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.models.conversion_panel import ConversionPanel
from desktop_app.ui.models.download_limits import limit_words, limits
from desktop_app.ui.models.downloads_history import DownloadsHistory
from desktop_app.ui.models.leftovers_list import LeftoversList
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.centred import CentredPage, centre
from desktop_app.ui.widgets.icons import IconButton

_WIDEST = 860


class DownloadsPage(QWidget):
    """Shows them, and lets them pause, go on, change places, stop and be tried again."""

    chat_asked = Signal(InstalledModel)
    settings_asked = Signal()
    closed = Signal()
    changed = Signal(str)
    """The setting of this name has another value."""

    def __init__(self, bridge: ConversionBridge, settings: Settings, parent: QWidget | None = None) -> None:
        """Follow the bridge; the speed and the mirror are written into the settings."""
        super().__init__(parent)
        self._bridge, self._settings = bridge, settings
        self._title = QLabel()
        self._title.setObjectName("title")
        self._close = IconButton("close")
        self._close.clicked.connect(self.closed)
        self._limit, self._mirror = QComboBox(), QComboBox()
        self._limit_name, self._mirror_name = QLabel(), QLabel()
        self._limit.activated.connect(lambda index: self._store("download_limit", self._limit.itemData(index)))
        self._mirror.activated.connect(lambda index: self._store("mirror", self._mirror.itemData(index)))
        self._panel = ConversionPanel(bridge)
        self._panel.chat_asked.connect(self.chat_asked)
        self._panel.settings_asked.connect(self.settings_asked)
        self._empty = QLabel(wordWrap=True)
        self._empty.setObjectName("muted")
        self._left = LeftoversList(bridge)
        self._history = DownloadsHistory(bridge)
        bridge.changed.connect(self._show_empty)
        self._lay_out()
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Show the settings as they are now: they can be changed elsewhere too."""
        super().showEvent(event)
        self._show_settings()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        choices = QFormLayout()
        choices.setContentsMargins(2, 0, 10, 0)  # in line with the cards
        choices.setSpacing(8)
        for name, box in ((self._limit_name, self._limit), (self._mirror_name, self._mirror)):
            name.setBuddy(box)
            choices.addRow(name, box)
        lists = QVBoxLayout()
        lists.setContentsMargins(0, 0, 8, 8)
        lists.setSpacing(16)
        for part in (self._empty, self._panel, self._left, self._history):
            lists.addWidget(part)
        lists.addStretch()
        scrolled = CentredPage()
        scrolled.set_content(lists, _WIDEST)
        column = QVBoxLayout()
        column.setContentsMargins(20, 8, 12, 8)
        column.setSpacing(12)
        column.addLayout(head)
        column.addLayout(choices)
        column.addWidget(scrolled, 1)
        centre(self, column, _WIDEST)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Downloads"))
        self._close.set_words(self.tr("Back to the chat"), SHORTCUTS.text("stop"))
        self._limit_name.setText(self.tr("Speed"))
        self._mirror_name.setText(self.tr("When the host fails"))
        self._empty.setText(self.tr("Nothing is being downloaded or converted."))
        self._show_settings()
        self._show_empty()

    def _show_settings(self) -> None:
        offered = limits(self._settings.download_limit)
        _fill(self._limit, dict(zip(offered, limit_words(offered), strict=True)), self._settings.download_limit)
        go_on = self.tr("Go on at {host}")
        mirrors = [address for address in dict.fromkeys((MIRROR, self._settings.mirror)) if address]
        words = {address: go_on.format(host=urlsplit(address).netloc or address) for address in mirrors}
        _fill(self._mirror, {"": self.tr("Stop and say so"), **words}, self._settings.mirror)
        self._limit.setAccessibleName(self._limit_name.text())
        self._mirror.setToolTip(
            self.tr("Every file must have the checksum that its own host lists, and no token is sent to the mirror.")
        )
        self._mirror.setAccessibleName(self._mirror_name.text())

    def _store(self, name: str, value: object) -> None:
        setattr(self._settings, name, value)
        self.changed.emit(name)

    def _show_empty(self) -> None:
        self._empty.setVisible(not self._bridge.jobs and not self._bridge.queue.outcomes)


def _fill(box: QComboBox, offered: dict[int, str] | dict[str, str], chosen: int | str) -> None:
    box.clear()
    for value, words in offered.items():
        box.addItem(words, value)
    box.setCurrentIndex(box.findData(chosen))
