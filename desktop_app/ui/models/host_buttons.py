"""Buttons that fetch a model from another host, where the one that was asked cannot be reached."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from desktop_app.library.install import InstallRequest
from desktop_app.library.other_hosts import OtherHost


class HostButtons(QWidget):
    """One button a host; not there where no other host would help."""

    chosen = Signal(InstallRequest)

    def __init__(self) -> None:
        """Begin without a host."""
        super().__init__()
        self._hosts: list[OtherHost] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch()
        self._buttons: list[QPushButton] = []
        self.hide()

    def offer(self, hosts: Sequence[OtherHost]) -> None:
        """Offer other hosts than before."""
        if list(hosts) != self._hosts:
            self._hosts = list(hosts)
            for button in self._buttons:
                self._row.removeWidget(button)
                button.hide()
                button.deleteLater()
            self._buttons = [self._button(host) for host in hosts]
            for place, button in enumerate(self._buttons):
                self._row.insertWidget(place, button)
            self._retranslate()
        self.setVisible(bool(hosts))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        for host, button in zip(self._hosts, self._buttons, strict=True):
            button.setText(self.tr("Try {host}").format(host=host.host))

    def _button(self, host: OtherHost) -> QPushButton:
        button = QPushButton()
        button.clicked.connect(lambda: self.chosen.emit(host.request))
        return button
