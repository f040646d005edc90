"""The line above the question from which on a model reads a chat."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget


@dataclass(frozen=True)
class Reading:
    """From which question on a chat is read."""

    start: str = ""
    """The question's id; "": from the first one."""
    summarised: bool = False
    """The model wrote a summary of what is before it."""
    fitting: str = ""
    """The question from which on the chat would fit; "": it fits, or no part of it does."""


class ReadingMark(QWidget):
    """Says what the model does not read; where that was chosen, it can be taken back."""

    undone = Signal()
    """All of the chat is to be read again."""

    def __init__(self, parent: QWidget) -> None:
        """Begin without words."""
        super().__init__(parent)
        self._chosen = self._summarised = False
        self._text = QLabel(wordWrap=True)
        self._text.setObjectName("muted")
        self._undo = QPushButton()
        self._undo.setObjectName("more")
        self._undo.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._undo.clicked.connect(self.undone)
        line = QFrame()
        line.setObjectName("readingLine")
        line.setFixedHeight(1)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._text, 1)
        row.addWidget(self._undo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 8)
        layout.setSpacing(6)
        layout.addWidget(line)
        layout.addLayout(row)

    def show_choice(self, *, chosen: bool, summarised: bool) -> None:
        """Say what is left out, or (not `chosen`) what would have to be."""
        self._chosen, self._summarised = chosen, summarised
        self._undo.setVisible(chosen)
        self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        if not self._chosen:
            words = self.tr("The model's context is full: with room for an answer, it holds what follows here.")
        elif self._summarised:
            words = self.tr("The model reads the chat from here on, and its own summary of what is above.")
        else:
            words = self.tr("The model reads the chat from here on, and nothing of what is above but attachments.")
        self._text.setText(words)
        self._undo.setText(self.tr("Let it read all"))
