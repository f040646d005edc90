"""A model's reasoning, folded away above its answer."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QPushButton, QVBoxLayout

from desktop_app.ui.i18n.formats import duration
from desktop_app.ui.markdown.view import MarkdownView

_WORTH_SAYING = 0.5
"""Seconds."""


class Thought(QFrame):
    """The model's reasoning, folded away behind a button."""

    def __init__(self) -> None:
        """Begin empty and folded."""
        super().__init__()
        self._button = QPushButton()
        self._button.setCheckable(True)
        self._button.setObjectName("thoughtButton")
        self._button.toggled.connect(self._fold)
        self._text = MarkdownView(colour="muted")
        self._source = ""
        self._thinking = False
        self._seconds = 0.0
        self.has_text = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._text)
        self._text.hide()

    def set_text(self, text: str, thinking: bool) -> None:
        """Show the reasoning so far."""
        self.has_text = bool(text) or thinking
        self._thinking = thinking
        self.setVisible(self.has_text)
        self.retranslate()
        self._source = text
        if self._button.isChecked():
            self._text.set_text(text)

    def set_seconds(self, seconds: float) -> None:
        """Say how long it took; 0: that is not known."""
        if seconds != self._seconds:
            self._seconds = seconds
            self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        words = self.tr("Thinking…") if self._thinking else self.tr("Thought")
        if self._seconds >= _WORTH_SAYING and not self._thinking:
            words = self.tr("Thought for {time}").format(time=duration(self._seconds))
        self._button.setText(f"{words}  {'▾' if self._button.isChecked() else '▸'}")

    def _fold(self, shown: bool) -> None:
        if shown:
            self._text.set_text(self._source)  # a thought is long, and few are read
        self._text.setVisible(shown)
        self.retranslate()
