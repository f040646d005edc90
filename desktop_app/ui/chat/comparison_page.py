"""The page on which two models answer the same questions, each in its column."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.comparison import Answer
from desktop_app.chat.reasoning import THINKING_SECONDS, split_reasoning
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.chat.message_edit import MessageEdit, mark_focus
from desktop_app.ui.chat.message_field import MessageField
from desktop_app.ui.chat.reasoning_box import Thought
from desktop_app.ui.i18n.formats import speed
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.markdown.view import MarkdownView
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.enabling import REPLYING, UNWRITTEN, enable
from desktop_app.ui.widgets.icons import IconButton

_FRAME_MS = 33


class ComparisonPage(QWidget):
    """Asks two models and shows what they answer."""

    asked = Signal(list, object)
    """The two models and the question, a `Draft`."""
    attach_asked = Signal()
    cleared = Signal()
    """The next question is to be the first one."""
    stopped = Signal()
    kept = Signal(int)
    """The number of the model that the user goes on with."""
    closed = Signal()
    catalogue_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self._busy = self._refused = False
        self._count = 0
        self._title, self._close = QLabel(), IconButton("close")
        self._title.setObjectName("title")
        self._close.clicked.connect(self.closed)
        self.field = MessageEdit()
        self.field.submitted.connect(self._ask)
        self._message = MessageField(self.field)
        self._message.changed.connect(self._refresh)
        self._attach = IconButton("attach", size=18)
        self._attach.clicked.connect(self.attach_asked)
        self._anew = QPushButton()
        self._anew.clicked.connect(self.cleared)
        self._anew.hide()
        self._ask_both = QPushButton()
        self._ask_both.setObjectName("primary")
        self._ask_both.clicked.connect(self._act)
        self._note = QLabel(wordWrap=True)
        self._note.setObjectName("muted")
        self._get = QPushButton()
        self._get.clicked.connect(self.catalogue_asked)
        self._columns = [_Column(), _Column()]
        for place, column in enumerate(self._columns):
            column.kept.connect(lambda place=place: self.kept.emit(place))
            column.chosen.connect(self._refresh)
        self._lay_out()
        self._retranslate()

    def set_models(self, models: Sequence[InstalledModel], current: InstalledModel | None) -> None:
        """Offer models; where nothing was chosen yet, the current one and another."""
        self._count = len(models)
        ordered = sorted(models, key=lambda model: current is None or model.path != current.path)
        for place, column in enumerate(self._columns):
            column.set_models(models, ordered[place] if place < len(ordered) else None)
        self._refresh()

    def attach(self, attachment: Attachment) -> None:
        """Put a file into the question."""
        self._message.attach(attachment)
        self.field.setFocus()

    def begin_turn(self, question: Draft) -> None:
        """Show a question that is on its way, below what was asked before."""
        for column in self._columns:
            column.begin_turn(question)
        self._message.set_draft(Draft())
        self._anew.show()
        self._retranslate()

    def clear(self) -> None:
        """Show no question and no answer."""
        for column in self._columns:
            column.clear()
        self._anew.hide()
        self._retranslate()
        self.field.setFocus()

    def show_answer(self, number: int, answer: Answer) -> None:
        """Show how far a model is."""
        self._columns[number].show_answer(answer)

    def refuse(self) -> None:
        """Say that a chat's reply comes first."""
        self._refused = True
        self._refresh()

    def set_busy(self, busy: bool) -> None:
        """An answer is on its way, or no longer."""
        self._busy, self._refused = busy, False
        for column in self._columns:
            column.set_busy(busy)
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _lay_out(self) -> None:
        head, box, columns = QHBoxLayout(), QFrame(), QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._anew, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        box.setObjectName("compareBox")
        mark_focus(box, self.field)
        row = QHBoxLayout(box)
        row.setContentsMargins(8, 8, 8, 8)
        row.addWidget(self._attach, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self._message, 1)
        row.addWidget(self._ask_both, 0, Qt.AlignmentFlag.AlignBottom)
        columns.setSpacing(16)
        for column in self._columns:
            columns.addWidget(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 8, 12, 12)
        layout.setSpacing(10)
        layout.addLayout(head)
        layout.addLayout(columns, 1)
        hint = QHBoxLayout()
        hint.addWidget(self._note, 1)
        hint.addWidget(self._get)
        layout.addLayout(hint)
        layout.addWidget(box)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Two models side by side"))
        self._close.set_words(self.tr("Back to the chat"), SHORTCUTS.text("stop"))
        self._anew.setText(self.tr("New question"))
        self._attach.set_words(self.tr("Attach files"), SHORTCUTS.text("attach"))
        self.field.set_hint(
            self.tr("Ask both") if self._anew.isHidden() else self.tr("Ask both further"),
            self.tr("their answers are written at once where both fit into memory"),
        )
        self.field.setAccessibleName(self.tr("Question"))
        self._get.setText(self.tr("Get models"))
        self._ask_both.setText(self.tr("Stop") if self._busy else self.tr("Ask both"))
        self._refresh()

    def _refresh(self) -> None:
        models = [column.model for column in self._columns]
        ready = None not in models and models[0] != models[1] and not self._message.is_blank
        obstacle = self._obstacle(models)
        enable(self._ask_both, {obstacle: not self._busy and bool(obstacle), UNWRITTEN: not self._busy and not ready})
        enable(self._anew, {REPLYING: self._busy})
        self._note.setText(obstacle)
        self._note.setVisible(bool(self._note.text()))
        self._get.setVisible(self._count < len(models))

    def _obstacle(self, models: Sequence[InstalledModel | None]) -> str:
        """Return why nothing can be asked, or ""."""
        if self._count < len(models):
            return self.tr("This takes two models; get another one first.")
        if models[0] == models[1]:
            return self.tr("Choose two different models.")
        if self._refused:
            return self.tr("A reply is being written in a chat; wait for its end, or stop it there.")
        return ""

    def _act(self) -> None:
        if self._busy:
            self.stopped.emit()
        else:
            self._ask()

    def _ask(self) -> None:
        if self._ask_both.isEnabled() and not self._busy:
            self.asked.emit([column.model for column in self._columns], self._message.draft)


class _Turn(QWidget):
    """A question and one model's answer to it."""

    def __init__(self, question: Draft) -> None:
        super().__init__()
        self.answer: Answer | None = None
        self._thought, self._text, self._status = Thought(), MarkdownView(), QLabel(wordWrap=True)
        self._thought.hide()
        self._status.setObjectName("muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        names = [one.name for one in question.attachments if one.name]
        for words, kind in ((question.text.strip(), "comparedQuestion"), ("\n".join(names), "muted")):
            if words:
                label = QLabel(words, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
                label.setObjectName(kind)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                column.addWidget(label)
        for widget in (self._thought, self._text, self._status):
            column.addWidget(widget)

    def draw(self) -> None:
        """Show the answer as far as it is."""
        answer = self.answer
        parts = split_reasoning(answer.text if answer is not None else "")
        self._thought.set_text(parts.reasoning, parts.thinking and answer is not None and not answer.is_over)
        self._thought.set_seconds(answer.facts.get(THINKING_SECONDS, 0.0) if answer is not None else 0.0)
        self._thought.retranslate()
        self._text.set_text(parts.answer)
        self._status.setText(self._words(answer))
        self._status.setVisible(bool(self._status.text()))

    def _words(self, answer: Answer | None) -> str:
        if answer is None:
            return ""
        if answer.error is not None:
            return translated(answer.error)
        words = {
            "waiting": self.tr("Waits."),
            "loading": self.tr("Loading the model…"),
            "writing": "" if answer.text else self.tr("Thinking…"),
            "stopped": self.tr("Stopped."),
            "done": "" if answer.text else self.tr("The model answered nothing."),
        }
        tokens, seconds = answer.facts.get("tokens", 0), answer.facts.get("seconds", 0)
        if answer.state == "done" and tokens and seconds:
            return speed(tokens / seconds)
        return words.get(answer.state, "")


class _Column(QWidget):
    """One model and its answers."""

    kept = Signal()
    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._turns: list[_Turn] = []
        self._busy = False
        self._models = QComboBox()
        self._models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._models.setMinimumHeight(30)
        self._models.currentIndexChanged.connect(self.chosen)
        self._keep = QPushButton()
        self._keep.clicked.connect(self.kept)
        self._frame = QTimer(self, singleShot=True, interval=_FRAME_MS)
        self._frame.timeout.connect(self._draw)
        self._texts = texts = QVBoxLayout()
        texts.setSpacing(12)
        texts.addStretch()
        page, area = QWidget(), QScrollArea()
        page.setObjectName("chatPage")
        page.setLayout(texts)
        area.setObjectName("chatView")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        self._area = area
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._models)
        layout.addWidget(area, 1)
        layout.addWidget(self._keep, 0, Qt.AlignmentFlag.AlignLeft)
        self._draw()

    @property
    def model(self) -> InstalledModel | None:
        model: InstalledModel | None = self._models.currentData()
        return model

    def set_models(self, models: Sequence[InstalledModel], usual: InstalledModel | None) -> None:
        wanted = self.model if self.model in models else usual
        self._models.blockSignals(True)
        self._models.clear()
        for model in models:
            self._models.addItem(model.label or model.name, model)
        self._models.setCurrentIndex(models.index(wanted) if wanted is not None else -1)
        self._models.blockSignals(False)

    def begin_turn(self, question: Draft) -> None:
        turn = _Turn(question)
        self._texts.insertWidget(self._texts.count() - 1, turn)
        self._turns.append(turn)
        bar = self._area.verticalScrollBar()
        QTimer.singleShot(_FRAME_MS, self, lambda: bar.setValue(bar.maximum()))

    def clear(self) -> None:
        for turn in self._turns:
            self._texts.removeWidget(turn)
            turn.hide()
            turn.deleteLater()
        self._turns = []
        self._draw()

    def show_answer(self, answer: Answer) -> None:
        if self._turns:
            self._turns[-1].answer = answer
        if not self._frame.isActive():
            self._frame.start()

    def set_busy(self, busy: bool) -> None:
        self._busy = busy
        enable(self._models, {REPLYING: busy})
        self._draw()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            for turn in self._turns:
                turn.draw()
            self._draw()

    def _draw(self) -> None:
        bar = self._area.verticalScrollBar()
        follows = bar.value() == bar.maximum()
        for turn in self._turns[-1:]:
            turn.draw()
        if follows:
            QTimer.singleShot(0, self, lambda: bar.setValue(bar.maximum()))
        answer = self._turns[-1].answer if self._turns else None
        self._models.setAccessibleName(self.tr("Model"))
        self._area.setAccessibleName(self.tr("Answer of {name}").format(name=self._models.currentText()))
        self._keep.setText(self.tr("Go on with this one"))
        self._keep.setVisible(answer is not None and answer.is_over and any(map(_has_text, self._turns)))
        enable(self._keep, {REPLYING: self._busy})


def _has_text(turn: _Turn) -> bool:
    return turn.answer is not None and bool(turn.answer.text)
