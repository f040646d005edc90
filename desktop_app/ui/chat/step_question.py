"""The question whether a call may be made, inside the chat: what exactly would happen, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from desktop_app.ui.chat.step_values import Arguments
from desktop_app.ui.chat.tool_words import tool_words
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.button_row import ButtonRow
from desktop_app.ui.widgets.enabling import IS_SO, enable

if TYPE_CHECKING:
    from desktop_app.assistant.approvals import Asked, Decision

_MARGIN = 14
_ANSWERS: tuple[Decision, ...] = ("once", "chat", "always", "refuse")


class StepQuestion(QFrame):
    """Asks once, and is answered once."""

    answered = Signal(str)
    """A `Decision`."""

    def __init__(self, asked: Asked) -> None:
        """Show a call that waits."""
        super().__init__()
        self.setObjectName("stepQuestion")
        self._asked = asked
        self._words = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._words.setObjectName("questionWords")
        self._effect = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._buttons: dict[Decision, QPushButton] = {decision: QPushButton() for decision in _ANSWERS}
        self._row = ButtonRow()
        for decision, button in self._buttons.items():
            button.clicked.connect(lambda _=False, decision=decision: self._answer(decision))
            self._row.addWidget(button)
        row = QHBoxLayout()
        row.addLayout(self._row)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_MARGIN, 10, _MARGIN, 12)
        layout.setSpacing(10)
        layout.addWidget(self._words)
        layout.addWidget(self._effect)
        layout.addWidget(Arguments(asked.arguments))
        layout.addLayout(row)
        self._retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep all buttons inside."""
        super().resizeEvent(event)
        self._row.fit(self.contentsRect().width() - 2 * _MARGIN)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        tool = self._asked.tool
        self._words.setText(self.tr("May “{tool}” do this?").format(tool=tool_words(tool.name, tool.source)))
        effect = tool.effect(self._asked.arguments) if tool.effect is not None else None
        self._effect.setText("" if effect is None else translated(effect))
        self._effect.setVisible(effect is not None)
        words = (self.tr("Allow once"), self.tr("Allow in this chat"), self.tr("Always allow"), self.tr("Do not allow"))
        for decision, text in zip(_ANSWERS, words, strict=True):
            self._buttons[decision].setText(text)

    def _answer(self, decision: Decision) -> None:
        for button in self._buttons.values():
            enable(button, {IS_SO: True})
        self.answered.emit(decision)
