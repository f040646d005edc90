"""The lamp in the window's bar: lit while other programs can ask this computer's models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget

from desktop_app.ui.bridges.server_bridge import ServerBridge
from desktop_app.ui.widgets.icons import IconButton

if TYPE_CHECKING:
    from desktop_app.ui.server.server_dialog import ServerDialog


class ServerLamp(IconButton):
    """Opens the server's dialog; a failure is shown there."""

    def __init__(self, server: ServerBridge, parent: QWidget | None = None) -> None:
        """Follow the server."""
        super().__init__("server", parent)
        self._server = server
        self._dialog: ServerDialog | None = None
        self.clicked.connect(self._open)
        server.changed.connect(self._show)
        server.failed.connect(self._failed)
        self._show()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language too."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show()

    def _show(self) -> None:
        ready = self._server.ready
        self.set_icon("server", "accent" if self._server.is_on else "muted")
        if ready is not None:
            self.set_words(self.tr("Other programs are answered at {address}").format(address=ready.address))
        else:
            self.set_words(self.tr("Answer other programs"))

    def _open(self) -> ServerDialog:
        from desktop_app.ui.server.server_dialog import ServerDialog

        if self._dialog is None:
            self._dialog = ServerDialog(self._server, self.window())
            self._dialog.finished.connect(self._closed)
            self._dialog.open()
        return self._dialog

    def _closed(self) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None

    def _failed(self, error: Exception) -> None:
        self._open().show_failure(error)
