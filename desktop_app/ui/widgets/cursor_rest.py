"""The text cursor stops blinking when nothing was typed for a while: each blink wakes the processor and paints."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

_BLINKS_MS = 10_000
"""After the last key; as in GTK."""
_TYPED = (QEvent.Type.KeyPress, QEvent.Type.InputMethod)


class CursorRest(QObject):
    """Follows the field that has the focus, for as long as the application lives."""

    def __init__(self, application: QApplication) -> None:
        """Let cursors blink as the system wants, but not for ever."""
        super().__init__(application)
        self._usual = QGuiApplication.styleHints().cursorFlashTime()
        self._field: QWidget | None = None
        self._pause = QTimer(self, singleShot=True, interval=_BLINKS_MS)
        self._pause.timeout.connect(lambda: QApplication.setCursorFlashTime(0))
        application.focusChanged.connect(self._focus_moved)
        self._focus_moved(None, application.focusWidget())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Blink again when something is typed."""
        if event.type() in _TYPED:
            self._blink()
        return False

    def _focus_moved(self, _: QWidget | None, field: QWidget | None) -> None:
        if self._field is not None and isValid(self._field):
            self._field.removeEventFilter(self)
        self._field = field
        if field is not None:
            field.installEventFilter(self)
            self._blink()

    def _blink(self) -> None:
        if QGuiApplication.styleHints().cursorFlashTime() != self._usual:
            QApplication.setCursorFlashTime(self._usual)
        self._pause.start()
