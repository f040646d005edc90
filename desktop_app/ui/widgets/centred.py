"""A page whose content is no wider than one reads with ease, in the middle of a wide window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLayout, QScrollArea, QWidget


def centre(page: QWidget, content: QLayout, widest: int) -> None:
    """Lay a page out with its content in the middle, of `widest` pixels at most."""
    holder = QWidget()
    holder.setMaximumWidth(widest)
    holder.setLayout(content)
    row = QHBoxLayout(page)
    row.setContentsMargins(0, 0, 0, 0)
    row.addStretch(1)
    row.addWidget(holder, 1000)
    row.addStretch(1)


class CentredPage(QScrollArea):
    """A page in place of a chat's messages: in the middle, scrolled where the window is low."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("welcome")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def set_content(self, content: QLayout, widest: int) -> None:
        """Show a layout of `widest` pixels at most."""
        page = QWidget()
        page.setObjectName("welcomePage")
        centre(page, content, widest)
        self.setWidget(page)
