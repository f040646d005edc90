"""Leftovers of interrupted downloads: each goes on, or is removed."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMessageBox, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from converter.hub.leftovers import Leftover
from desktop_app.library.install import InstallRequest
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated


class LeftoversList(QWidget):
    """A line for each, with two buttons; not there where nothing was left."""

    def __init__(self, bridge: ConversionBridge, parent: QWidget | None = None) -> None:
        """Find out what there is, and follow it."""
        super().__init__(parent)
        self._bridge = bridge
        self._left: list[Leftover] = []
        self._title = QLabel()
        self._rows = QVBoxLayout()
        self._rows.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._title)
        column.addLayout(self._rows)
        self.hide()
        bridge.changed.connect(self._find)
        self._find()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show(self._left)

    def _find(self) -> None:
        self._bridge.find_leftovers(self, self._show)

    def _show(self, left: list[Leftover]) -> None:
        self._left = left
        self._title.setText(self.tr("Left over from downloads that did not come to their end:"))
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for one in left:
            self._rows.addWidget(self._row(one))
        self.setVisible(bool(left))

    def _row(self, left: Leftover) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        text = "{name} · {size}" if left.partial else self.tr("{name} · {size}, not converted")
        name = QLabel(text.format(name=left.repository, size=size(left.bytes)), wordWrap=True)
        name.setTextFormat(Qt.TextFormat.PlainText)
        line.addWidget(name, 1)
        if left.source:
            line.addWidget(self._button(self.tr("Go on"), left, partial(self._go_on, left)))
        line.addWidget(self._button(self.tr("Remove…"), left, partial(self._ask, left)))
        return row

    def _button(self, words: str, left: Leftover, act: partial[None]) -> QPushButton:
        button = QPushButton(words)
        button.setAccessibleDescription(left.repository)
        button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _=False: act())
        return button

    def _go_on(self, left: Leftover) -> None:
        self._bridge.install(InstallRequest(left.source, endpoint=left.endpoint))

    def _ask(self, left: Leftover) -> None:
        box = QMessageBox(self.window())
        box.setObjectName("deletion")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(self.tr("Remove what was downloaded of {name}?").format(name=left.repository))
        box.setInformativeText(
            self.tr("This frees {size}. The next download begins anew.").format(size=size(left.bytes))
        )
        remove = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        remove.clicked.connect(lambda: self._bridge.delete_leftover(left, self._say))
        box.open()

    def _say(self, error: Exception) -> None:
        box = QMessageBox(QMessageBox.Icon.NoIcon, "", translated(error), QMessageBox.StandardButton.Ok, self.window())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()
