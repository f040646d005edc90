"""Buttons that stand beside each other, or below each other where there is no room."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QBoxLayout, QLayoutItem

_SPACING = 8


class ButtonRow(QBoxLayout):
    """A row of buttons that becomes a column in a narrow window."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__(QBoxLayout.Direction.LeftToRight)
        self.setSpacing(_SPACING)

    def fit(self, room: float) -> None:
        """Arrange the visible buttons for a width in pixels."""
        width = sum(item.sizeHint().width() + _SPACING for item in self._shown()) - _SPACING
        row, column = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self.setDirection(row if width <= room else column)

    def minimumSize(self) -> QSize:  # noqa: N802  (Qt's name)
        """Return the size of the widest button: a row that needed its whole width would never get less room."""
        widest = max((item.minimumSize().width() for item in self._shown()), default=0)
        return QSize(widest, super().minimumSize().height())

    def _shown(self) -> list[QLayoutItem]:
        return [item for i in range(self.count()) if (item := self.itemAt(i)) is not None and not item.isEmpty()]
