"""Keyboard focus: after every action to the text that the user writes, so that no key is lost or presses a button."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QWidget,
)
from shiboken6 import isValid

_COMMANDS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier


class FocusKeeper(QObject):
    """Gives the keyboard back to a window's text field.

    A click moves the focus to text fields only (`qproperty-focusPolicy` in app.qss). Tab reaches everything; what is done
    there, and whatever goes away with the focus, ends at home.
    """

    def __init__(self, window: QMainWindow, home: Callable[[], QWidget]) -> None:
        """`home` returns the field that is written in now."""
        super().__init__(window)
        self._window, self._home = window, home
        self._returning = QTimer(self, singleShot=True, interval=0)
        self._returning.timeout.connect(self._return)
        self._followed: QAbstractButton | None = None
        cast(QApplication, QApplication.instance()).focusChanged.connect(self._changed)

    def go_home(self) -> None:
        """Let the next key go to the text, whatever has the focus."""
        self._home().setFocus(Qt.FocusReason.OtherFocusReason)

    def take(self, event: QKeyEvent) -> bool:
        """Write a character that nobody took; tell whether it is one."""
        home = self._home()
        if not is_written(event) or home.hasFocus() or not home.isEnabled():
            return False
        self.go_home()
        focused = QApplication.focusWidget()
        if focused is None or not takes_text(focused):
            return False
        QApplication.sendEvent(focused, event)
        return True

    def step(self) -> bool:
        """Return home where the focus is about to leave what is hidden, disabled or gone; False: Tab moves it."""
        focused = self._window.focusWidget()
        if focused is None or (focused.isVisible() and focused.isEnabled()):
            return False
        self._returning.start()
        return True

    def _changed(self, old: QWidget | None, now: QWidget | None) -> None:
        if not isValid(self._window):
            return
        self._unfollow()
        if now is None:
            if old is None or not isValid(old) or not old.isVisible() or not old.isEnabled():
                self._returning.start()
        elif isinstance(now, QAbstractButton) and now.window() is self._window:
            self._follow(now)

    def _follow(self, button: QAbstractButton) -> None:
        """Return once the button was pressed, or its menu was closed."""
        self._followed = button
        button.clicked.connect(self._returning.start)
        menu = button.menu() if isinstance(button, (QPushButton, QToolButton)) else None
        if menu is not None:
            menu.aboutToHide.connect(self._returning.start)

    def _unfollow(self) -> None:
        button, self._followed = self._followed, None
        if button is None or not isValid(button):
            return
        button.clicked.disconnect(self._returning.start)
        menu = button.menu() if isinstance(button, (QPushButton, QToolButton)) else None
        if menu is not None:
            menu.aboutToHide.disconnect(self._returning.start)

    def _return(self) -> None:
        focused = self._window.focusWidget()
        if focused is None or not (focused.isVisible() and takes_text(focused)):
            self.go_home()


def is_written(event: QKeyEvent) -> bool:
    """Tell whether a key writes a character."""
    return event.text().isprintable() and bool(event.text()) and not event.modifiers() & _COMMANDS


def takes_text(widget: QWidget) -> bool:
    """Tell whether a widget is a field in which text is written."""
    return isinstance(widget, (QLineEdit, QPlainTextEdit)) and not widget.isReadOnly() and widget.isEnabled()
