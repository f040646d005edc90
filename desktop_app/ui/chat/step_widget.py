"""A call of a tool as a card: folded to a line, with what it drew; unfolded with its arguments and its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from desktop_app.assistant.approvals import Asked
from desktop_app.chat.conversation import Message
from desktop_app.chat.failure import failure_of
from desktop_app.chat.steps import files_of, tables_of
from desktop_app.ui.chat.message_widget import MessageWidget, Versions
from desktop_app.ui.chat.step_question import StepQuestion
from desktop_app.ui.chat.step_values import Arguments, Figure, PlainText, TableView, is_figure
from desktop_app.ui.chat.tool_words import tool_words
from desktop_app.ui.i18n.formats import number, unbroken
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.icons import PADDING
from models.visible import visible

_SUMMARY = 200
_MOST_OUTPUT = 20_000


class StepWidget(MessageWidget):
    """One call, from its beginning to its result."""

    answered = Signal(str, str)
    """The message's id, and a `Decision` about its call."""

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a call."""
        super().__init__(message, versions)
        self._output = ""
        self._question: StepQuestion | None = None
        self._body: QWidget | None = None  # made when it is unfolded: few are
        self._result: PlainText | None = None
        self._made: list[QWidget] = []
        card = QFrame()
        card.setObjectName("stepCard")
        self._button = QPushButton()
        self._button.setCheckable(True)
        self._button.setObjectName("stepButton")
        self._button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._button.toggled.connect(self._fold)
        self._summary = ElidedLabel()
        self._summary.setObjectName("muted")
        self._state = QLabel(textFormat=Qt.TextFormat.PlainText)
        self._state.setObjectName("muted")
        header = QHBoxLayout()
        header.setSpacing(10)
        header.addWidget(self._button)
        header.addWidget(self._summary, 1)
        header.addWidget(self._state)
        self._column = QVBoxLayout(card)
        self._column.setContentsMargins(12, 6, 12, 6)
        self._column.setSpacing(8)
        self._column.addLayout(header)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(PADDING, 3, PADDING, 3)
        layout.addWidget(card)
        self._show_made()
        self.retranslate()

    def ask(self, asked: Asked) -> None:
        """Ask whether the call may be made."""
        if self._question is None:
            self._question = StepQuestion(asked)
            self._question.answered.connect(lambda decision: self.answered.emit(self.message.id, decision))
            self._column.addWidget(self._question)
            self.retranslate()

    def add_output(self, text: str) -> None:
        """Show what the running tool wrote; the call was allowed."""
        self._end_question()
        self._output = (self._output + text)[-_MOST_OUTPUT:]
        if self._result is not None:
            self._result.set_text(self._output)

    def end(self, message: Message) -> None:
        """Show how the call ended."""
        self.message = message
        self._end_question()
        if self._body is not None:
            self._body.deleteLater()
            self._body = self._result = None
            self._fold(self._button.isChecked())
        self._show_made()
        self.retranslate()

    def set_busy(self, busy: bool) -> None:
        """A step cannot be changed in any case."""

    def text_to_copy(self) -> str:
        """Return the result."""
        return self.message.content

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        facts = self.message.facts
        name = tool_words(str(facts.get("tool", "")), str(facts.get("source", "")))
        self.setAccessibleName(self.tr("Step: {tool}").format(tool=name))
        self._button.setText(f"{'▾' if self._button.isChecked() else '▸'}  {name}")
        self._summary.set_whole(_summary(self._arguments))
        self._state.setText(self._state_words())

    @property
    def _arguments(self) -> Mapping[str, Any]:
        arguments = self.message.facts.get("arguments")
        return arguments if isinstance(arguments, Mapping) else {}

    def _state_words(self) -> str:
        seconds = self.message.facts.get("seconds")
        took = (
            unbroken(self.tr("{seconds} s").format(seconds=number(seconds))) if isinstance(seconds, int | float) else ""
        )
        words = {
            "streaming": self.tr("at work…") if self._question is None else self.tr("asks you"),
            "failed": self.tr("failed"),
            "stopped": self.tr("stopped"),
            "interrupted": self.tr("cut off"),
        }.get(self.message.state, "")
        return " · ".join(part for part in (words, took) if part)

    def _fold(self, shown: bool) -> None:
        if shown and self._body is None:
            self._body = self._make_body()
            self._column.insertWidget(1, self._body)
        if self._body is not None:
            self._body.setVisible(shown)
        self.retranslate()

    def _make_body(self) -> QWidget:
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(8)
        if self._arguments:
            layout.addWidget(Arguments(self._arguments))
        failure = failure_of(self.message)
        text = translated(failure) if failure is not None else self.message.content or self._output
        self._result = PlainText(text, self.tr("Result"))
        layout.addWidget(self._result)
        return body

    def _show_made(self) -> None:
        """Show figures and tables, and name other files: they are there without unfolding."""
        files = files_of(self.message)
        if self._made or self.message.state == "streaming":
            return
        self._made = [Figure(path) for path in files if is_figure(path)]
        self._made += [TableView(table) for table in tables_of(self.message)]
        if files:
            self._made.append(_Files([path.name for path in files], str(files[0].parent)))
        for widget in self._made:
            self._column.addWidget(widget)

    def _end_question(self) -> None:
        if self._question is not None:
            self._question.hide()
            self._question.deleteLater()
            self._question = None
            self.retranslate()


class _Files(QWidget):
    """The names of the files that a call made; they are opened by the user's own file manager or not at all."""

    def __init__(self, names: list[str], folder: str) -> None:
        super().__init__()
        self._names = ElidedLabel()
        self._names.setObjectName("muted")
        self._names.set_whole(", ".join(map(visible, names)))
        self._open = QPushButton(self.tr("Open folder"))
        self._open.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(folder)))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 2)
        row.addWidget(self._names, 1)
        row.addWidget(self._open)


def _summary(arguments: Mapping[str, Any]) -> str:
    """Return a call's arguments on one line."""
    values = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in arguments.values()
    )
    return visible(" · ".join(" ".join(value[:_SUMMARY].split()) for value in values))[:_SUMMARY]
