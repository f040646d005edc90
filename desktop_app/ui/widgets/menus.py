"""Menus of buttons."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QAbstractButton, QMenu


def light_only_under_pointer(button: QAbstractButton, menu: QMenu) -> None:
    """Let a button be lit after its menu only where the pointer is over it: Qt tells it of no leave while a menu is open."""
    menu.aboutToHide.connect(lambda: QTimer.singleShot(0, button, lambda: _look_for_pointer(button)))


def _look_for_pointer(button: QAbstractButton) -> None:
    if button.rect().contains(button.mapFromGlobal(QCursor.pos())):
        return
    button.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, False)
    QCoreApplication.sendEvent(button, QEvent(QEvent.Type.Leave))
    button.update()
