"""Lets the style sheet count again for a widget: at once where its properties changed, in pauses where all of them changed."""

from __future__ import annotations

import time
from collections.abc import Iterable

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

_SLICE = 0.005
"""Seconds in which widgets are styled at one go."""


def restyle(widget: QWidget) -> None:
    """Polish a widget anew.

    Not by `widget.style()`: for that PySide makes the class QStyle with all its enumerations, which takes longer than a frame.
    """
    QCoreApplication.sendEvent(widget, QEvent(QEvent.Type.Polish))


class LaterStyling(QObject):
    """Styles hidden widgets a few at a time, after those that are seen: Qt would do it in the same turn."""

    def __init__(self, parent: QObject) -> None:
        """Nothing is put off."""
        super().__init__(parent)
        self._waiting: list[QWidget] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    def put_off(self, widgets: Iterable[QWidget]) -> None:
        """Let the hidden ones be passed over by the style sheet that is set next."""
        self._waiting = [widget for widget in widgets if not widget.isVisible()]
        for widget in self._waiting:
            widget.setAttribute(Qt.WidgetAttribute.WA_WState_Polished, False)
        self._timer.start()

    def _go_on(self) -> None:
        end = time.thread_time() + _SLICE
        while self._waiting and time.thread_time() < end:
            widget = self._waiting.pop()
            if isValid(widget):
                restyle(widget)
        if not self._waiting:
            self._timer.stop()
