"""The settings of tools in a dialog of their own, opened from the tools' menu beside the message box."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QDialogButtonBox, QWidget

from desktop_app.ui.settings.tools_page import ToolsPage
from desktop_app.ui.widgets.fitting_dialog import FittingDialog


class ToolsDialog(FittingDialog):
    """Shows a `ToolsPage`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Show what is stored."""
        super().__init__(560, parent)
        self.page = ToolsPage()
        self.page.setContentsMargins(16, 8, 4, 0)
        self.finished.connect(self.page.close_threads)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        self.set_content(self.page, buttons)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Tools and MCP servers"))
