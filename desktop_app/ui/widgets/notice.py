"""Bars that say what happened and offer what to do: at the top of the chat, or below it for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from desktop_app.ui.widgets.button_row import ButtonRow
from desktop_app.ui.widgets.icons import IconButton
from desktop_app.ui.widgets.restyling import restyle

Kind = Literal["warning", "plain"]
Action = tuple[str, Callable[[], None]]
"""A button's text and what it does."""

_TOAST_MS = 7000
_BUTTONS_PART = 0.65
"""Of the width; more than this is too much for buttons in a row."""


class Notice(QFrame):
    """One sentence with buttons; it stays until it is closed or replaced."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin hidden."""
        super().__init__(parent)
        self.setObjectName("notice")
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setMinimumWidth(80)
        self._buttons: list[QPushButton] = []
        self._topic = ""
        self._close = IconButton("close", colour="on_warning", size=16)
        self._close.clicked.connect(self.hide)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(16, 8, 8, 8)
        self._layout.setSpacing(8)
        self._actions = ButtonRow()
        self._layout.addWidget(self._text, 1)
        self._layout.addLayout(self._actions)
        self._layout.addWidget(self._close)
        self._timer = QTimer(self, singleShot=True, interval=_TOAST_MS)
        self._timer.timeout.connect(self.hide)
        self._retranslate()
        self.hide()

    @property
    def text(self) -> str:
        """The sentence."""
        return self._text.text()

    def say(self, text: str, *actions: Action, kind: Kind = "warning", topic: str = "") -> None:
        """Show a sentence; one of kind "plain" goes away by itself, one with a topic also by `withdraw`."""
        self._topic = topic
        self.setProperty("kind", kind)
        for widget in (self, self._text):  # the text's colour depends on the kind too
            restyle(widget)
        self._close.set_icon("close", "text" if kind == "plain" else "on_warning")
        self._text.setText(text)
        self._text.setAccessibleName(text)
        for button in self._buttons:
            self._actions.removeWidget(button)
            button.deleteLater()
        self._buttons = [self._button(*action) for action in actions]
        for button in self._buttons:
            self._actions.addWidget(button)
        self._arrange()
        self.show()
        if kind == "plain":
            self._timer.start()
        else:
            self._timer.stop()

    def is_about(self, topic: str) -> bool:
        """Tell whether what is shown is on a topic."""
        return topic == self._topic and not self.isHidden()

    def withdraw(self, topic: str) -> None:
        """Hide what was said on a topic: it no longer holds."""
        if topic == self._topic:
            self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Put the buttons below each other where they would leave no room for the sentence."""
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _arrange(self) -> None:
        self._actions.fit(self.width() * _BUTTONS_PART)

    def _retranslate(self) -> None:
        self._close.set_words(self.tr("Close"))

    def _button(self, text: str, act: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName("noticeButton")

        def clicked() -> None:
            self.hide()
            act()

        button.clicked.connect(clicked)
        return button
