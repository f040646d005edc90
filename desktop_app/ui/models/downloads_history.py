"""Earlier downloads and conversions with their outcome."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QEvent, QLocale, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.icons import IconButton

if TYPE_CHECKING:
    from desktop_app.library.download_record import Ended

_MOST = 30
"""Rows: the newest."""


class DownloadsHistory(QWidget):
    """A row for each outcome that has no card; not there where there is none."""

    def __init__(self, bridge: ConversionBridge, parent: QWidget | None = None) -> None:
        """Follow the bridge."""
        super().__init__(parent)
        self._bridge = bridge
        self._shown: list[Ended] = []
        self._title = QLabel()
        self._title.setObjectName("conversionName")
        self._clear = QPushButton()
        self._clear.setObjectName("more")
        self._clear.clicked.connect(lambda: bridge.forget(self._ended()))
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._clear)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addLayout(self._rows)
        bridge.recorded.connect(self._show)
        bridge.changed.connect(self._show)
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._fill()

    def _ended(self) -> list[Ended]:
        """Return what is not on a card."""
        cards = {(str(job.request.source), job.ended) for job in self._bridge.queue.outcomes}
        return [one for one in self._bridge.history if (one.wanted.source, one.time) not in cards]

    def _show(self) -> None:
        if (ended := self._ended()) != self._shown or not ended:
            self._shown = ended
            self._fill()

    def _fill(self) -> None:
        self._title.setText(self.tr("Earlier"))
        self._clear.setText(self.tr("Clear the list"))
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for one in self._shown[:_MOST]:
            self._rows.addWidget(self._row(one))
        self.setVisible(bool(self._shown))

    def _row(self, ended: Ended) -> QWidget:
        row = QWidget()
        name = ElidedLabel()
        name.set_whole(self._title_of(ended))
        words = QLabel(self._words(ended), wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        words.setObjectName("conversionWords")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(name)
        texts.addWidget(words)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addLayout(texts, 1)
        if ended.outcome != "done":
            line.addWidget(self._button(self.tr("Try again"), ended, partial(self._try_again, ended)))
        close = IconButton("close", size=14)
        close.set_words(self.tr("Take off the list"))
        close.setAccessibleDescription(ended.wanted.name)
        close.clicked.connect(partial(self._bridge.forget, [ended]))
        line.addWidget(close)
        return row

    def _button(self, words: str, ended: Ended, act: Callable[[], None]) -> QPushButton:
        button = QPushButton(words)
        button.setAccessibleDescription(ended.wanted.name)
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _=False: act())
        return button

    def _try_again(self, ended: Ended) -> None:
        self._bridge.forget([ended])
        self._bridge.install(ended.wanted.request)

    @staticmethod
    def _title_of(ended: Ended) -> str:
        quant = "" if ended.wanted.quant == "auto" else ended.wanted.quant
        return " · ".join(part for part in (ended.wanted.name, quant) if part)

    def _words(self, ended: Ended) -> str:
        when = QLocale().toString(QDateTime.fromSecsSinceEpoch(int(ended.time)), QLocale.FormatType.ShortFormat)
        outcome = {"done": self.tr("finished"), "failed": self.tr("failed"), "cancelled": self.tr("cancelled")}
        facts = " · ".join([when, outcome[ended.outcome], *([size(ended.bytes)] if ended.bytes else [])])
        return f"{facts}\n{translated(ended.error)}" if ended.error is not None else facts
