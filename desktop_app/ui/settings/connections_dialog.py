"""Every connection that Zhiyin made, the newest first."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale, Qt
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app.connections import Entry, connections
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.widgets.fitting_dialog import FittingDialog

_WIDTH = 760
_MOST = 1000
"""Rows; the command prints all."""


class ConnectionsDialog(FittingDialog):
    """A table: time, host, bytes, for what."""

    def __init__(self, parent: QWidget) -> None:
        """Show what is written down now."""
        super().__init__(_WIDTH, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Connections"))
        entries = connections()
        words = QLabel(wordWrap=True)
        words.setText(
            self.tr(
                "{count} connections, {size} in all. Nothing else of Zhiyin can connect to another computer."
            ).format(count=number(len(entries), 0), size=size(sum(entry.received for entry in entries)))
            if entries
            else self.tr("Zhiyin has made no connection.")
        )
        close = QDialogButtonBox()
        close.addButton(self.tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(12)
        layout.addWidget(words)
        if entries:
            layout.addWidget(self._table(entries[: -_MOST - 1 : -1]), 1)
        layout.addWidget(close)

    def _table(self, entries: list[Entry]) -> QTableWidget:
        titles = [self.tr("Time"), self.tr("Host"), self.tr("Received"), self.tr("For what")]
        table = QTableWidget(len(entries), len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.verticalHeader().hide()
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        for row, entry in enumerate(entries):
            when = QLocale().toString(QDateTime.fromSecsSinceEpoch(int(entry.time)), QLocale.FormatType.ShortFormat)
            received = (
                size(entry.received)
                if entry.state == "done"
                else self.tr("{size}, failed").format(size=size(entry.received))
            )
            for column, text in enumerate((when, f"{entry.host}:{entry.port}", received, entry.what)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        table.horizontalHeader().setSectionResizeMode(len(titles) - 1, QHeaderView.ResizeMode.Stretch)
        return table
