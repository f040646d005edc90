"""The model's message, also while it is being written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QLabel, QMenu, QVBoxLayout, QWidget

from desktop_app.chat.changes import can_go_on
from desktop_app.chat.conversation import Message
from desktop_app.chat.failure import failure_of
from desktop_app.chat.grounding import Grounding, Quotation
from desktop_app.chat.reasoning import THINKING_SECONDS, split_reasoning
from desktop_app.chat.steps import calls_of
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.chat.message_widget import MessageWidget, Versions
from desktop_app.ui.chat.reasoning_box import Thought
from desktop_app.ui.chat.reply_failure import ReplyFailure
from desktop_app.ui.chat.sources_box import SourcesBox
from desktop_app.ui.i18n.formats import model_details, speed
from desktop_app.ui.markdown.view import MarkdownView
from desktop_app.ui.models.model_session import Contexts
from desktop_app.ui.widgets import look
from desktop_app.ui.widgets.elided_label import ElidedLabel
from desktop_app.ui.widgets.enabling import REPLYING, enable
from desktop_app.ui.widgets.icons import PADDING, IconButton
from desktop_app.ui.widgets.menus import light_only_under_pointer
from models.errors import ZhiyinError

_FRAME_MS = 33


class ReplyWidget(MessageWidget):
    """The model's message, also while it is being written."""

    regenerate_asked = Signal(str)
    other_model_asked = Signal(str, InstalledModel)
    """The question is to be answered again by this model."""
    continuation_asked = Signal(str)
    """A reply that was stopped or cut off is to go on."""
    remedy_chosen = Signal(str, str)
    """The message's id and a `Remedy` of its failure."""

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._answer = MarkdownView()
        self._status = QLabel(wordWrap=True)
        self._status.setObjectName("muted")
        self._thought: Thought | None = None  # these two are made when they are needed: most replies have neither
        self._failure: ReplyFailure | None = None
        self._sources: SourcesBox | None = None
        self._busy = False
        self._models: Sequence[InstalledModel] = ()
        self._others: IconButton | None = None
        """Opens a menu of models; None: there is no other one."""
        self._contexts = Contexts()
        self._again = IconButton("regenerate", size=16)
        self._again.clicked.connect(lambda: self.regenerate_asked.emit(self.message.id))
        self._go_on = IconButton("go-on", size=16)
        self._go_on.clicked.connect(lambda: self.continuation_asked.emit(self.message.id))
        self._is_last = False
        self._facts = ElidedLabel()
        self._facts.setObjectName("muted")
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._again)
        self._actions.addWidget(self._go_on)
        self._actions.addWidget(self._more)
        self.add_versions()
        self._actions.addSpacing(8)
        self._actions.addWidget(self._facts, 1)
        self._column = QVBoxLayout()
        self._column.setContentsMargins(PADDING, 0, PADDING, 0)  # the icons below are in line with the text
        self._column.setSpacing(6)
        self._column.addWidget(self._answer)
        self._column.addWidget(self._status)
        layout = QVBoxLayout(self)
        gap = look.current().message_gap
        layout.setContentsMargins(0, gap, 0, 2 * gap - 2)
        layout.setSpacing(6)
        layout.addLayout(self._column)
        layout.addLayout(self._actions)
        self._waiting_text: str | None = None
        self._waiting_for = ""
        self._frame = QTimer(self, singleShot=True, interval=_FRAME_MS)
        self._frame.timeout.connect(self._draw_waiting)
        self._show_text(message.content)
        self.retranslate()

    @property
    def is_building(self) -> bool:
        """A part of the answer is not shown yet."""
        return self._answer.is_building

    @property
    def answer(self) -> QWidget:
        """The answer without the reasoning."""
        return self._answer

    def grow(self, text: str) -> None:
        """Show the text so far, at most once a frame."""
        self._waiting_text = text
        if not self._frame.isActive():
            self._frame.start()

    def ground(self, grounding: Grounding, parts: Mapping[int, Quotation]) -> None:
        """Say what the reply is grounded in; `parts`: everything that its numbers stand for."""
        if self._sources is None:
            self._sources = SourcesBox()
            self._column.addWidget(self._sources)
            self._answer.citation_opened.connect(self._sources.show_passage)
        self._sources.ground(grounding, parts)
        self._answer.set_citations(self._sources.names())
        self._show_cited()

    def wait_for(self, words: str) -> None:
        """Say what happens before the first word comes."""
        self._waiting_for = words
        self._refresh()

    def end(self, message: Message) -> None:
        """Show the message as it ended."""
        self._frame.stop()
        self._waiting_text = None
        self.message = message
        self._show_text(message.content)
        self._refresh()

    def set_last(self, last: bool) -> None:
        """Only the last reply of a chat can go on."""
        self._is_last = last
        self._offer_contexts()
        self._refresh()

    def set_contexts(self, contexts: Contexts) -> None:
        """Offer other contexts where the reply failed."""
        self._contexts = contexts
        self._offer_contexts()

    def set_models(self, models: Sequence[InstalledModel]) -> None:
        """Offer the question to these models."""
        self._models = models
        if self._others is None and len(models) > 1:
            self._others = IconButton("down", size=12)
            self._others.clicked.connect(self._show_models)
            self._actions.insertWidget(self._actions.indexOf(self._again) + 1, self._others)
            self._name_others()
            enable(self._others, {REPLYING: self._busy})
        self._refresh()

    def set_thought(self, seconds: float) -> None:
        """Say how long it reasoned, as soon as it answers."""
        if self._thought is not None:
            self._thought.set_seconds(seconds)

    def set_busy(self, busy: bool) -> None:
        """Nothing can be asked again while a reply is written."""
        self._busy = busy
        for button in filter(None, (self._others, self._again, self._go_on)):
            enable(button, {REPLYING: busy})
        self.set_changeable(not busy)
        if self._failure is not None:
            self._failure.set_busy(busy)

    def text_to_copy(self) -> str:
        """Return the answer without the reasoning."""
        return split_reasoning(self.message.content).answer

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self.setAccessibleName(self.tr("{name} wrote").format(name=self.message.model or self.tr("The assistant")))
        self._again.set_words(self.tr("Answer again"))
        self._name_others()
        self._go_on.set_words(self.tr("Continue this reply"))
        if self._thought is not None:
            self._thought.retranslate()
        if self._sources is not None:
            self._sources.retranslate()
        self._refresh()

    def _name_others(self) -> None:
        if self._others is not None:
            self._others.set_words(self.tr("Answer again with another model"))

    def _show_models(self) -> None:
        if self._others is None:
            return
        menu = QMenu(self)
        menu.setObjectName("modelsMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for model in self._models:
            action = menu.addAction(f"{(model.label or model.name).replace('&', '&&')}\t{model_details(model)}")
            action.triggered.connect(lambda _, model=model: self.other_model_asked.emit(self.message.id, model))
        light_only_under_pointer(self._others, menu)
        menu.popup(self._others.mapToGlobal(QPoint(0, self._others.height())))

    def _draw_waiting(self) -> None:
        if self._waiting_text is not None:
            self._show_text(self._waiting_text)
            self._waiting_text = None
            self._refresh()

    def _show_text(self, text: str) -> None:
        parts = split_reasoning(text)
        if self._thought is None and (parts.reasoning or parts.thinking):
            self._thought = Thought()
            self._column.insertWidget(0, self._thought)
        if self._thought is not None:
            self._thought.set_text(parts.reasoning, parts.thinking and self.message.state == "streaming")
            if seconds := self.message.facts.get(THINKING_SECONDS):
                self._thought.set_seconds(seconds)
        self._answer.set_text(parts.answer)

    def _refresh(self) -> None:
        message = self.message
        writing = message.state == "streaming"
        calls = bool(calls_of(message))
        self._answer.setVisible(self._answer.has_text)
        begun = self._answer.has_text or (self._thought is not None and self._thought.has_text)
        status = self._waiting_for if writing and not begun else ""
        if message.state == "stopped":
            status = self.tr("Stopped.")
        elif message.state == "interrupted":
            status = self.tr("Zhiyin was closed before this was finished.")
        elif message.facts.get("reason") == "length":
            status = self.tr("The reply reached the longest length that the settings allow.")
        elif message.state == "done" and not begun and not calls:
            status = self.tr("The model answered nothing.")
        self._status.setText(status)
        self._status.setVisible(bool(status))
        if (failure := failure_of(message)) is not None:
            self._show_failure(failure)
        elif message.facts.get("reason") == "full":
            self._show_failure(ZhiyinError("The context is full, so the reply ends here.", code="context-full"))
        for widget in (self._copy, self._again, self._more, self._facts):
            widget.setVisible(not writing and not calls)
        if self._others is not None:
            self._others.setVisible(not writing and not calls and len(self._models) > 1)
        self._go_on.setVisible(self._is_last and not writing and can_go_on(message))
        self._show_unless(calls and not begun)
        enable(self._copy, {self.tr("There is no text in it."): not self._answer.has_text})
        self._facts.set_whole(self._cost())
        self._show_cited()

    def _show_cited(self) -> None:
        """List what the answer names as soon as it is whole."""
        if self._sources is not None and self.message.state != "streaming":
            self._sources.show_cited(self.message.content)

    def _show_unless(self, has_calls_alone: bool) -> None:
        """Hide what has nothing but calls, which are the cards below."""
        if has_calls_alone:
            self.hide()
        elif (
            self.parentWidget() is not None
        ):  # without one it would be a window of its own for a moment, and take the keyboard
            self.show()

    def _show_failure(self, error: ZhiyinError) -> None:
        if self._failure is None:
            self._failure = ReplyFailure()
            self._failure.chosen.connect(lambda way: self.remedy_chosen.emit(self.message.id, way))
            self._offer_contexts()
            self._column.insertWidget(self._column.indexOf(self._status) + 1, self._failure)
        self._failure.show_failure(error)
        self._failure.set_busy(self._busy)

    def _offer_contexts(self) -> None:
        """Offer what may be: turns are left out of what the last reply is to answer."""
        if self._failure is not None:
            self._failure.set_contexts(self._contexts if self._is_last else replace(self._contexts, start=""))

    def _cost(self) -> str:
        """Return who wrote it, how fast, and how much of the context the chat takes by now."""
        facts = self.message.facts
        tokens, seconds, context = facts.get("tokens", 0), facts.get("seconds", 0), facts.get("context", 0)
        words = [self.message.model]
        if tokens and seconds:
            words.append(speed(tokens / seconds))
        if tokens and context:
            used = min(100, math.ceil((facts.get("prompt_tokens", 0) + tokens) / context * 100))
            words.append(self.tr("context {percent} % full").format(percent=used))
        return " · ".join(word for word in words if word)
