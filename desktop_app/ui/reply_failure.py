"""The card in place of a reply that failed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from desktop_app.ui.core_sentences import translated


class ReplyFailure(QFrame):
    """What went wrong, and the way out."""

    retry = Signal()
    smaller = Signal()

    def __init__(self) -> None:
        """Begin without a failure."""
        super().__init__()
        self.setObjectName("failure")
        self._message = ""
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._retry = QPushButton()
        self._retry.clicked.connect(self.retry)
        self._smaller = QPushButton()
        self._smaller.clicked.connect(self.smaller)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._retry)
        buttons.addWidget(self._smaller)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(self._text)
        layout.addLayout(buttons)

    def show_failure(self, cause: str, message: str) -> None:
        """Show the engine's sentence; its cause decides what is offered."""
        self._message = message
        self._smaller.setVisible(cause in ("died", "memory"))
        self.retranslate()

    def set_busy(self, busy: bool) -> None:
        """Nothing can be tried while a reply is written."""
        self._retry.setEnabled(not busy)
        self._smaller.setEnabled(not busy)

    def retranslate(self) -> None:
        """Write every word again."""
        self._text.setText(translated(self._message))
        self._retry.setText(self.tr("Try again"))
        self._smaller.setText(self.tr("Use a smaller context"))
