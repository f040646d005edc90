"""Base class of the buttons beside the message box for what a model leaves to the user: thinking, effort."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QPushButton, QWidget

ICON = 16
"""Pixels."""


class ChoiceButton(QPushButton):
    """A button with an icon, and words where there is room; hidden until a model is known that has the choice."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """`name` is what style sheets call it."""
        super().__init__(parent)
        self.setObjectName(name)
        self.setIconSize(QSize(ICON, ICON))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._narrow = False
        self.hide()

    def set_narrow(self, narrow: bool) -> None:
        """Show the icon alone, where the text is to have the room."""
        if narrow != self._narrow:
            self._narrow = narrow
            self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language and the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()
        elif event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _retranslate(self) -> None:
        """Set the words."""
        raise NotImplementedError

    def _draw(self) -> None:
        """Set the icon."""
        raise NotImplementedError
