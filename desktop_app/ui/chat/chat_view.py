"""The messages of the open chat, newest at the bottom, where the view stays while a reply grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from desktop_app.chat.conversation import Message
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.models.model_session import Contexts
from desktop_app.ui.widgets.icons import PADDING, IconButton
from desktop_app.ui.widgets.look import WIDTHS

if TYPE_CHECKING:
    from desktop_app.documents.service import Progress
    from desktop_app.ui.chat.message_widget import Versions
    from desktop_app.ui.chat.question_widget import QuestionWidget
    from desktop_app.ui.chat.reading_mark import Reading
    from desktop_app.ui.chat.reply_widget import ReplyWidget
    from desktop_app.ui.chat.step_widget import StepWidget
    from desktop_app.ui.markdown.disposal import Disposal
    from desktop_app.ui.widgets.short_turns import ShortTurns

    Shown = QuestionWidget | ReplyWidget | StepWidget
    """A message in the view."""

_AT_ONCE = 0.002
"""Seconds for building widgets before the window takes its turn."""
SCROLL_BAR = 10
"""Its width in resources/styles/app.qss, in pixels."""
_PAUSE_MS = 16
"""Between two steps of building what is not seen yet: drawing and typing come first."""
_SETTLING_MS = 100
"""After the last message was built until it has its height."""
_FIRST_SCREENS = 30
_NEAR = 40


class ChatView(QScrollArea):
    """Shows the path of a `ChatSession`; old messages are built when one scrolls up to them."""

    deletion_asked = Signal(str)
    """A message is to be deleted."""
    remedy_chosen = Signal(str, str)
    """A failed reply's id and a `Remedy`."""
    resized = Signal()
    built = Signal()
    """All messages that are wanted are there."""
    left = Signal()
    """What had the keyboard goes away: another widget should take it."""

    def __init__(self, session: ChatSession, parent: QWidget | None = None) -> None:
        """Follow a session."""
        super().__init__(parent)
        self._session = session
        self._widgets: list[Shown] = []
        self._disposal: Disposal | None = None
        self._older: list[Message] = []
        self._wanted = _FIRST_SCREENS
        self._pinned = True
        self._waiting_for = ""
        self._models: Sequence[InstalledModel] = ()
        self.contexts = Contexts()
        """What is offered where a reply failed."""
        self.setObjectName("chatView")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # text does not move when it is needed
        self._column = QVBoxLayout()
        self._column.setContentsMargins(20 - PADDING, 12, 20 - PADDING, 20)
        self._column.setSpacing(2)
        self._go_on = _go_on_button(session)
        self._column.addWidget(self._go_on)
        self._column.addStretch(1)
        self._holder = QWidget()
        self._holder.setMaximumWidth(WIDTHS["normal"])
        self._holder.setLayout(self._column)
        page = self._page = QWidget()
        page.setObjectName("chatPage")
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(self._holder, 1000)
        row.addStretch(1)
        self.setWidget(page)
        self._to_end = _to_end_button(self)
        self._builder = QTimer(self, interval=_PAUSE_MS)
        self._builder.timeout.connect(self._build_older)
        self._marking: ShortTurns | None = None
        self._settling = QTimer(self, singleShot=True, interval=_SETTLING_MS)
        self._settling.timeout.connect(self.built)
        self._settling.timeout.connect(self._uncover)  # at the latest: all that is wanted is there
        self._from_end = 0
        self._picture: QLabel | None = None
        self._kept = 0
        """How far the picture's messages are from the end, in pixels."""
        self._connect(session)
        self._retranslate()
        self.rebuild()

    def _connect(self, session: ChatSession) -> None:
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._range_changed)
        session.list.opened.connect(self._open)
        session.list.added.connect(self._add)
        session.replies.grown.connect(self._grow)
        session.replies.reasoned.connect(self._thought)
        session.replies.reading.connect(self._reading)
        session.replies.searching.connect(self._searching)
        session.replies.grounded.connect(self._ground)
        session.replies.turn_came.connect(self._turn_came)
        session.replies.ended.connect(self._end)
        session.replies.changed.connect(self._end)
        session.replies.output.connect(self._add_output)
        session.replies.asked.connect(self._ask)
        session.replies.busy_changed.connect(self._set_busy)

    def rebuild(self) -> None:
        """Show the session's path from the start; the newest messages come first."""
        focused = QApplication.focusWidget()
        if focused is not None and (focused is self or self.isAncestorOf(focused)):
            self.left.emit()
        self.setUpdatesEnabled(False)
        self._drop_widgets()
        self._older = list(self._session.list.path)
        self._wanted = _FIRST_SCREENS
        self._pinned = True
        self._build_older()
        self.setUpdatesEnabled(True)
        if self._widgets:
            self._builder.start()

    def take_down(self) -> None:
        """Leave only a picture of the messages: another theme would take each of them longer than making it anew."""
        if self._picture is not None or any(widget.is_edited for widget in self._widgets):
            return
        self._kept = 0 if self._pinned else self._from_end
        drawn = self.viewport().grab()  # lays out what is not yet
        self._picture = QLabel(self.viewport())
        self._picture.setPixmap(drawn)
        self._picture.setGeometry(self.viewport().rect())
        self._picture.show()
        self._builder.stop()
        self._drop_widgets()

    @property
    def is_clearing(self) -> bool:
        """Messages that were shown are not deleted yet."""
        return self._disposal is not None and self._disposal.is_busy

    def put_up(self) -> None:
        """Make the messages again, at the place where they were."""
        if self._picture is not None:
            self.rebuild()
            self._picture.raise_()

    def set_waiting_for(self, words: str) -> None:
        """Say in an empty reply what is waited for."""
        self._waiting_for = words
        for widget in self._widgets[-1:]:
            if _is_reply(widget) and widget.message.state == "streaming":
                widget.wait_for(self._words_of_waiting(widget.message))

    def set_contexts(self, contexts: Contexts) -> None:
        """Offer other contexts where a reply failed."""
        if contexts != self.contexts:
            self.contexts = contexts
            for widget in self._widgets:
                if _is_reply(widget):
                    widget.set_contexts(contexts)
            self._mark_reading()

    def set_models(self, models: Sequence[InstalledModel]) -> None:
        """Offer questions to these models."""
        self._models = models
        for widget in self._widgets:
            if _is_reply(widget):
                widget.set_models(models)

    @property
    def messages(self) -> Sequence[Shown]:
        """The messages that are built, the newest of the chat."""
        return self._widgets

    def build_up_to(self, message: str) -> None:
        """Build the messages from the newest up to this one, a few at a time; `built` tells when they are there."""
        place = next((number for number, older in enumerate(self._older) if older.id == message), None)
        if place is not None:
            self._wanted = max(self._wanted, len(self._widgets) + len(self._older) - place)
            self._builder.start()

    def show_message(self, message: str) -> None:
        """Bring a message into sight, if it is built."""
        for widget in self._widgets:
            if widget.message.id == message:
                self._pinned = False
                self.ensureWidgetVisible(widget)

    def scroll_to(self, part: QWidget, point: QPoint, margin: int) -> None:
        """Bring a place in a part of a message into sight, and stay there."""
        self._pinned = False
        place = part.mapTo(self._page, point)
        self.ensureVisible(place.x(), place.y(), 0, min(margin, self.height() // 3))

    def set_column(self, width: int) -> None:
        """Let messages be this wide at most."""
        self._holder.setMaximumWidth(width)

    def scroll_to_end(self) -> None:
        """Show the newest text and stay there."""
        self._pinned = True
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())

    def edit_question(self, message: str) -> None:
        """Open the box in which a question is changed."""
        for widget in self._widgets:
            if widget.message.id == message and _is_question(widget):
                widget.begin_editing()
                self.ensureWidgetVisible(widget)

    def turn_page(self, direction: int) -> None:
        """Scroll by a page, up (-1) or down (1)."""
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + direction * bar.pageStep())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Keep the button in its corner."""
        super().resizeEvent(event)
        self.resized.emit()
        self._to_end.move((self.width() - self._to_end.width()) // 2, self.height() - self._to_end.height() - 12)

    def _retranslate(self) -> None:
        self._to_end.set_words(self.tr("To the newest message"))
        self._go_on.setText(self.tr("Go on"))
        self.setAccessibleName(self.tr("Chat"))

    def _drop_widgets(self) -> None:
        if not self._widgets:
            return
        from desktop_app.ui.markdown.disposal import Disposal

        self._disposal = self._disposal or Disposal(self)
        for widget in self._widgets:
            self._column.removeWidget(widget)
            self._disposal.take(widget)
        self._widgets = []

    def _build_older(self) -> None:
        """Build messages upwards, each when the one below is complete: many at once would take a frame's time together."""
        if self._widgets and self._widgets[0].is_building:
            return
        end = time.perf_counter() + _AT_ONCE
        while self._older and (len(self._widgets) < self._wanted or self._picture is not None):
            message = self._older.pop()
            widget = self._make(message)
            self._widgets.insert(0, widget)
            self._column.insertWidget(0, widget)
            widget.lower()  # screen readers go by the order of children
            if widget.is_building or time.perf_counter() > end:
                return
        self._builder.stop()
        self._settling.start()

    def _open(self) -> None:
        """Show another path, whatever was on the picture."""
        self._uncover()
        self._go_on.setVisible(self._session.can_go_on)
        self.rebuild()

    def _uncover(self) -> None:
        """Take the picture away: the messages on it are there again."""
        if self._picture is not None:
            self._picture.deleteLater()
            self._picture = None
            self._scrolled(self.verticalScrollBar().value())

    def _make(self, message: Message) -> Shown:
        makers: dict[str, Callable[[Message], Shown]] = {"user": self._make_question, "tool": self._make_step}
        widget = makers.get(message.role, self._make_reply)(message)
        widget.version_chosen.connect(self._session.choose_version)
        widget.set_busy(self._session.replies.busy_here)
        widget.branch_asked.connect(self._session.branch)
        widget.deletion_asked.connect(self.deletion_asked)
        return widget

    def _make_question(self, message: Message) -> QuestionWidget:
        from desktop_app.ui.chat.question_widget import QuestionWidget

        widget = QuestionWidget(message, self._versions(message))
        widget.edited.connect(self._session.edit)
        widget.reading_reset.connect(self._read_all)
        widget.mark_reading(self._reading_of())
        return widget

    def _reading_of(self) -> Reading:
        from desktop_app.ui.chat.reading_mark import Reading

        choices = self._session.list.current.choices
        return Reading(choices.reads_from, bool(choices.summary), self.contexts.start)

    def _mark_reading(self) -> None:
        """Show from where on the model reads the chat."""
        reading = self._reading_of()
        for widget in self._widgets:
            if _is_question(widget):
                widget.mark_reading(reading)

    def _read_all(self) -> None:
        self._session.read_all()
        self._mark_reading()

    def _make_step(self, message: Message) -> StepWidget:
        from desktop_app.ui.chat.step_widget import StepWidget

        widget = StepWidget(message, self._versions(message))
        widget.answered.connect(self._session.replies.answer)
        if (asked := self._session.replies.asked_of(message.id)) is not None:
            widget.ask(asked)
        return widget

    def _make_reply(self, message: Message) -> ReplyWidget:
        from desktop_app.ui.chat.reply_widget import ReplyWidget

        widget = ReplyWidget(message, self._versions(message))
        widget.regenerate_asked.connect(self._session.regenerate)
        widget.other_model_asked.connect(self._session.regenerate)
        widget.set_models(self._models)
        widget.continuation_asked.connect(self._session.continue_reply)
        widget.set_last(message.id == self._session.list.current.leaf)
        widget.remedy_chosen.connect(self.remedy_chosen)
        widget.set_contexts(self.contexts)
        self._show_grounding(widget, message)
        if message.state == "streaming":
            widget.wait_for(self._words_of_waiting(message))
            if text := self._session.replies.text_of(message):
                widget.grow(text)
        return widget

    def _words_of_waiting(self, message: Message) -> str:
        before = self._session.replies.waits_for(message)
        if before is None:
            return self._waiting_for
        return self.tr("Waits until the reply in “{chat}” is done.").format(chat=before)

    def _turn_came(self, message: str) -> None:
        if widget := self._find(message):
            widget.wait_for(self._waiting_for)

    def _versions(self, message: Message) -> Versions:
        from desktop_app.ui.chat.message_widget import Versions

        ids = tuple(version.id for version in self._session.versions(message))
        return Versions(ids.index(message.id), ids)

    def _add(self, message: Message) -> None:
        if any(widget.message.id == message.id for widget in self._widgets[-1:]):
            return
        for earlier in self._widgets[-1:]:
            if _is_reply(earlier):
                earlier.set_last(False)
        widget = self._make(message)
        self._widgets.append(widget)
        self._column.insertWidget(self._column.count() - 2, widget)  # above the button and the stretch
        self._pinned = True

    def _find(self, message: str) -> ReplyWidget | None:
        for widget in reversed(self._widgets):
            if widget.message.id == message and _is_reply(widget):
                return widget
        return None

    def _grow(self, message: str, text: str) -> None:
        if widget := self._find(message):
            widget.grow(text)

    def _thought(self, message: str, seconds: float) -> None:
        if widget := self._find(message):
            widget.set_thought(seconds)

    def _reading(self, message: str, part: float) -> None:
        if (widget := self._find(message)) and part < 1:
            widget.wait_for(self.tr("Reading… {percent} %").format(percent=round(part * 100)))

    def _searching(self, message: str, progress: Progress) -> None:
        if widget := self._find(message):
            from desktop_app.ui.chat.sources_box import shortened

            preparing = self.tr("Preparing {name}… {percent} %").format(
                name=shortened(progress.reading), percent=round(progress.part * 100)
            )
            widget.wait_for(preparing if progress.reading else self.tr("Looking into the documents…"))

    def _ground(self, message: Message) -> None:
        if widget := self._find(message.id):
            self._show_grounding(widget, message)
            widget.wait_for(self._waiting_for)

    def _show_grounding(self, widget: ReplyWidget, message: Message) -> None:
        from desktop_app.chat.grounding import grounding_of, parts_read

        if (grounding := grounding_of(message)) is not None:
            widget.ground(grounding, parts_read(grounding, self._session.list.tree.path(message.parent)))

    def _end(self, message: Message) -> None:
        for widget in (self._find(message.id), self._step(message.id)):
            if widget is not None:
                widget.end(message)

    def _step(self, message: str) -> StepWidget | None:
        for widget in reversed(self._widgets):
            if widget.message.id == message and _is_step(widget):
                return widget
        return None

    def _add_output(self, message: str, text: str) -> None:
        if widget := self._step(message):
            widget.add_output(text)

    def _ask(self, message: Message) -> None:
        asked = self._session.replies.asked_of(message.id)
        if (widget := self._step(message.id)) and asked is not None:
            widget.ask(asked)

    def _set_busy(self, busy: bool) -> None:
        self._go_on.setVisible(self._session.can_go_on)
        if self._widgets:
            from desktop_app.ui.widgets.short_turns import ShortTurns

            self._marking = self._marking or ShortTurns(self)
            self._marking.begin(self._mark_busy(busy))

    def _mark_busy(self, busy: bool) -> Iterator[None]:
        """Let messages offer what is possible now, those first that are read; all of a long chat would take many frames."""
        for widget in reversed(self._widgets.copy()):
            if isValid(widget):
                widget.set_busy(busy)
                yield

    def _scrolled(self, value: int) -> None:
        if self._picture is not None:
            return  # on the way to the place that the picture shows
        bar = self.verticalScrollBar()
        self._from_end = bar.maximum() - value
        self._pinned = self._from_end < _NEAR
        self._to_end.setVisible(not self._pinned and bar.maximum() > 0)
        if value < self.height() and self._older and not self._builder.isActive():
            self._wanted = len(self._widgets) + _FIRST_SCREENS
            self._builder.start()

    def _range_changed(self, _: int, maximum: int) -> None:
        bar = self.verticalScrollBar()
        bar.setEnabled(maximum > 0)  # one that is not needed is not drawn
        if self._picture is not None:
            bar.setValue(maximum - self._kept)
            if maximum > self._kept:
                self._uncover()
        elif self._pinned:
            bar.setValue(maximum)
        elif self._builder.isActive() or self._settling.isActive():  # something was inserted above what is being read
            bar.setValue(maximum - self._from_end)


def _to_end_button(view: ChatView) -> IconButton:
    """Return the button that lies over a view which is not at its end."""
    button = IconButton("to-end", view, colour="text")
    button.setObjectName("toEnd")
    button.setFixedSize(36, 36)
    button.clicked.connect(view.scroll_to_end)
    button.hide()
    return button


def _go_on_button(session: ChatSession) -> QPushButton:
    """Return the button below a chat that ends in the middle of an assistant's work."""
    button = QPushButton()
    button.setObjectName("goOn")
    button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    button.clicked.connect(session.go_on)
    button.hide()
    return button


def _is_reply(widget: Shown) -> TypeGuard[ReplyWidget]:
    """Tell by the message: the widgets of messages are not imported before there is one."""
    return widget.message.role not in ("user", "tool")


def _is_question(widget: Shown) -> TypeGuard[QuestionWidget]:
    return widget.message.role == "user"


def _is_step(widget: Shown) -> TypeGuard[StepWidget]:
    return widget.message.role == "tool"
