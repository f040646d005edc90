"""Lets the style sheet count again for a widget whose properties changed."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QWidget


def restyle(widget: QWidget) -> None:
    """Polish a widget anew.

    Not by `widget.style()`: for that PySide makes the class QStyle with all its enumerations, which takes longer than a frame.
    """
    QCoreApplication.sendEvent(widget, QEvent(QEvent.Type.Polish))
