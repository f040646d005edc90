"""The question before the window is closed while a model is downloaded or converted."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMessageBox, QWidget


class ClosingQuestion(QMessageBox):
    """Asks whether downloads and conversions may stop."""

    agreed = Signal()

    def __init__(self, parent: QWidget, *, downloads: bool) -> None:
        """`downloads` says that the work under way is a download."""
        super().__init__(parent)
        self.setObjectName("closing")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setText(self.tr("A model is still being downloaded or converted."))
        self.setInformativeText(self.tr("What was downloaded is kept for the next try; a conversion begins anew."))
        stop = self.addButton(self.tr("Stop and close"), QMessageBox.ButtonRole.DestructiveRole)
        go_on = self.tr("Continue downloading") if downloads else self.tr("Continue converting")
        self.setDefaultButton(self.addButton(go_on, QMessageBox.ButtonRole.RejectRole))
        stop.clicked.connect(self.agreed)
