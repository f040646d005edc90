"""A page whose content is no wider than one reads with ease, in the middle of a wide window."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLayout, QWidget


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
