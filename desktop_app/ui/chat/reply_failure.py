"""The card below a reply that failed or was cut off: what went wrong, and what helps."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from desktop_app.planning.planner import DOES_NOT_FIT
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.model_session import Contexts
from desktop_app.ui.widgets.button_row import ButtonRow
from desktop_app.ui.widgets.enabling import REPLYING, enable
from models.errors import ZhiyinError

Remedy = Literal["retry", "smaller", "larger", "drop", "summarise", "move", "shorten", "new_chat", "settings", "models"]

_MARGIN = 14
_WAYS: dict[str, tuple[Remedy, ...]] = {
    "context-full": ("drop", "summarise", "larger", "move", "shorten", "new_chat", "settings", "models"),
    "out-of-memory": ("smaller", "models", "retry"),
    DOES_NOT_FIT: ("smaller", "models", "retry"),
    "engine-died": ("retry", "smaller", "models"),
    "bad-file": ("models", "retry"),
    "no-tokenizer": ("models", "retry"),
    "unsupported-model": ("models", "retry"),
    "failed": ("models", "retry"),
}
"""What helps against each code of errors, the most likely first; against any other: trying again."""


class ReplyFailure(QFrame):
    """An error, and its remedies."""

    chosen = Signal(str)
    """A `Remedy`."""

    def __init__(self) -> None:
        """Begin without a failure."""
        super().__init__()
        self.setObjectName("failure")
        self._error: ZhiyinError | None = None
        self._contexts = Contexts()
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._buttons: dict[Remedy, QPushButton] = {}
        self._row = ButtonRow()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN, 10, _MARGIN, 12)
        layout.setSpacing(10)
        layout.addWidget(self._text)
        row = QHBoxLayout()
        row.addLayout(self._row)
        row.addStretch()
        layout.addLayout(row)

    def show_failure(self, error: ZhiyinError) -> None:
        """Say what happened; its code decides what is offered."""
        if self._error is None or error.code != self._error.code:
            for button in self._buttons.values():
                button.deleteLater()
            self._buttons = {way: self._button(way) for way in _WAYS.get(error.code, ("retry",))}
            for button in self._buttons.values():
                self._row.addWidget(button)
        self._error = error
        self.retranslate()
        self._show_ways()

    def set_contexts(self, contexts: Contexts) -> None:
        """Offer the contexts that fit now."""
        self._contexts = contexts
        self.retranslate()
        self._show_ways()

    def set_busy(self, busy: bool) -> None:
        """Nothing can be tried while a reply is written."""
        for way, button in self._buttons.items():
            enable(button, {REPLYING: busy and way not in ("new_chat", "settings", "models")})

    def retranslate(self) -> None:
        """Write every word again."""
        if self._error is not None:
            self._text.setText(translated(self._error))
        words: dict[Remedy, str] = {
            "retry": self.tr("Try again"),
            "smaller": self.tr("Use a smaller context"),
            "larger": self._larger_words(),
            "drop": self.tr("Leave the oldest turns out"),
            "summarise": self.tr("Summarise them first"),
            "move": self.tr("New chat with the last turns"),
            "shorten": self.tr("Shorten the message"),
            "new_chat": self.tr("New chat"),
            "settings": self.tr("Settings"),
            "models": self.tr("Choose another model"),
        }
        for way, button in self._buttons.items():
            button.setText(words[way])

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep all buttons inside."""
        super().resizeEvent(event)
        self._row.fit(self.contentsRect().width() - 2 * _MARGIN)

    def _show_ways(self) -> None:
        can_shorten = bool(self._contexts.start)
        for way, button in self._buttons.items():
            if way == "smaller":
                button.setVisible(self._contexts.smaller)
            elif way in ("drop", "summarise", "move"):
                button.setVisible(can_shorten)
            elif way == "larger":
                button.setVisible(self._contexts.larger > 0)
            elif way == "settings" and self._is_full:
                button.setVisible(self._contexts.larger > 0 and not can_shorten)  # they offer no other contexts
            elif way == "models" and self._is_full:
                button.setVisible(self._contexts.larger == 0 and not can_shorten)
            elif way == "new_chat":
                button.setVisible(not can_shorten)
            elif way == "shorten":
                asked = self._error is not None and "needed" in self._error.values
                button.setVisible(asked and self._contexts.larger == 0 and not can_shorten)
        self._row.fit(self.contentsRect().width() - 2 * _MARGIN)

    def _larger_words(self) -> str:
        count, price = number(self._contexts.larger, 0), self._contexts.price
        if price > 0:
            return self.tr("Answer with a context of {count} ({size} more memory)").format(
                count=count, size=size(price)
            )
        return self.tr("Answer with a context of {count}").format(count=count)

    @property
    def _is_full(self) -> bool:
        return self._error is not None and self._error.code == "context-full"

    def _button(self, way: Remedy) -> QPushButton:
        button = QPushButton(self)
        button.clicked.connect(lambda: self.chosen.emit(way))
        return button
