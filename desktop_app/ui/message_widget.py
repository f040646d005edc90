"""One message of a chat: the person's bubble, or the model's text with its code, tables and notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop_app.conversation import Message
from desktop_app.ui.code_box import CodeBox
from desktop_app.ui.formats import number
from desktop_app.ui.icons import IconButton
from desktop_app.ui.markdown import Block, StreamingParser
from desktop_app.ui.reasoning import split_reasoning
from desktop_app.ui.rich_text import RichText, TableText

_FRAME_MS = 33
_COPIED_MS = 1500
_MEASURED = 400
_BUBBLE_PADDING = 30
_BUBBLE_SHARE = 0.82


@dataclass(frozen=True)
class Versions:
    """Where a message stands among its versions."""

    index: int = 0
    ids: tuple[str, ...] = ()


class MessageWidget(QWidget):
    """What both kinds of messages share: an id, actions below, versions."""

    version_chosen = Signal(str)

    def __init__(self, message: Message, versions: Versions) -> None:
        """Made by `message_widget`."""
        super().__init__()
        self.message = message
        self._versions = versions
        self._actions = QHBoxLayout()
        self._actions.setContentsMargins(0, 0, 0, 0)
        self._actions.setSpacing(2)
        self._copy = IconButton("copy", size=16)
        self._copy.clicked.connect(self._copy_text)
        self._previous = IconButton("previous", size=14)
        self._previous.clicked.connect(lambda: self._step(-1))
        self._place = QLabel()
        self._place.setObjectName("muted")
        self._next = IconButton("next", size=14)
        self._next.clicked.connect(lambda: self._step(1))

    def set_versions(self, versions: Versions) -> None:
        """Show where this message stands among its versions."""
        self._versions = versions
        several = len(versions.ids) > 1
        for widget in (self._previous, self._place, self._next):
            widget.setVisible(several)
        self._place.setText(f"{versions.index + 1}/{len(versions.ids)}")
        self._previous.setEnabled(versions.index > 0)
        self._next.setEnabled(versions.index + 1 < len(versions.ids))

    def text_to_copy(self) -> str:
        """Return what the copy button copies."""
        return self.message.content

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self._copy.set_words(self.tr("Copy"))
        self._previous.set_words(self.tr("Previous version"))
        self._next.set_words(self.tr("Next version"))

    def add_versions(self) -> None:
        """Put the version buttons at the end of the actions."""
        for widget in (self._previous, self._place, self._next):
            self._actions.addWidget(widget)
        self.set_versions(self._versions)

    def _step(self, by: int) -> None:
        self.version_chosen.emit(self._versions.ids[self._versions.index + by])

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text_to_copy())
        self._copy.set_icon("check")
        QTimer.singleShot(_COPIED_MS, self._copy, lambda: self._copy.set_icon("copy"))


class QuestionWidget(MessageWidget):
    """The person's message, which can be edited and sent again."""

    edited = Signal(str, str)

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._bubble = QFrame()
        self._bubble.setObjectName("bubble")
        self._text = RichText()
        self._text.set_plain(message.content)
        inside = QVBoxLayout(self._bubble)
        inside.setContentsMargins(14, 9, 14, 1)
        inside.addWidget(self._text)
        self._edit = IconButton("edit", size=16)
        self._edit.clicked.connect(self._begin_editing)
        self._editor = _Editor()
        self._editor.cancelled.connect(self._end_editing)
        self._editor.confirmed.connect(self._confirm)
        self._editor.hide()
        self._actions.addStretch()
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._edit)
        self.add_versions()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.setSpacing(3)
        layout.addWidget(self._bubble, 0, Qt.AlignmentFlag.AlignRight)
        layout.addWidget(self._editor)
        layout.addLayout(self._actions)
        self.retranslate()

    def set_busy(self, busy: bool) -> None:
        """Nothing can be edited while a reply is written."""
        self._edit.setEnabled(not busy)

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self._edit.set_words(self.tr("Edit"))
        self._editor.retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Keep the bubble as wide as its text, within limits."""
        super().resizeEvent(event)
        metrics = self._text.fontMetrics()
        lines = self.message.content.split("\n")
        natural = max(metrics.horizontalAdvance(line[:_MEASURED].expandtabs()) for line in lines) + _BUBBLE_PADDING + 4
        self._bubble.setFixedWidth(max(48, min(natural, int(self.width() * _BUBBLE_SHARE))))

    def _begin_editing(self) -> None:
        self._editor.begin(self.message.content)
        self._show_editor(True)

    def _end_editing(self) -> None:
        self._show_editor(False)

    def _confirm(self, text: str) -> None:
        self._show_editor(False)
        self.edited.emit(self.message.id, text)

    def _show_editor(self, shown: bool) -> None:
        self._editor.setVisible(shown)
        self._bubble.setVisible(not shown)
        for widget in (self._copy, self._edit):
            widget.setVisible(not shown)


class _Editor(QFrame):
    """The box in which a question is changed."""

    confirmed = Signal(str)
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._text = QPlainTextEdit()
        self._text.setObjectName("composerText")
        self._text.setFrameShape(QFrame.Shape.NoFrame)
        self._text.setTabChangesFocus(True)
        self._text.viewport().setAutoFillBackground(False)
        self._text.setFixedHeight(110)
        self._send = QPushButton()
        self._send.setObjectName("primary")
        self._send.clicked.connect(self._confirm)
        self._cancel = QPushButton()
        self._cancel.clicked.connect(self.cancelled)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._cancel)
        buttons.addWidget(self._send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 10)
        layout.addWidget(self._text)
        layout.addLayout(buttons)

    def begin(self, text: str) -> None:
        self._text.setPlainText(text)
        self._text.moveCursor(self._text.textCursor().MoveOperation.End)
        QTimer.singleShot(0, self._text, self._text.setFocus)

    def retranslate(self) -> None:
        self._send.setText(self.tr("Send"))
        self._cancel.setText(self.tr("Cancel"))
        self._text.setAccessibleName(self.tr("Message"))

    def _confirm(self) -> None:
        if text := self._text.toPlainText().strip():
            self.confirmed.emit(text)


class ReplyWidget(MessageWidget):
    """The model's message, also while it is being written."""

    regenerate_asked = Signal(str)
    smaller_context_asked = Signal()

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__(message, versions)
        self._answer = _Body()
        self._thought = _Thought()
        self._status = QLabel(wordWrap=True)
        self._status.setObjectName("muted")
        self._failure = _Failure()
        self._failure.retry.connect(lambda: self.regenerate_asked.emit(self.message.id))
        self._failure.smaller.connect(self.smaller_context_asked)
        self._again = IconButton("regenerate", size=16)
        self._again.clicked.connect(lambda: self.regenerate_asked.emit(self.message.id))
        self._facts = QLabel()
        self._facts.setObjectName("muted")
        self._actions.addWidget(self._copy)
        self._actions.addWidget(self._again)
        self.add_versions()
        self._actions.addSpacing(8)
        self._actions.addWidget(self._facts)
        self._actions.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 10)
        layout.setSpacing(6)
        for widget in (self._thought, self._answer, self._status, self._failure):
            layout.addWidget(widget)
        layout.addLayout(self._actions)
        self._waiting_text: str | None = None
        self._waiting_for = ""
        self._frame = QTimer(self, singleShot=True, interval=_FRAME_MS)
        self._frame.timeout.connect(self._draw_waiting)
        self._show_text(message.content)
        self.retranslate()

    def grow(self, text: str) -> None:
        """Show the text so far, at most once a frame."""
        self._waiting_text = text
        if not self._frame.isActive():
            self._frame.start()

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

    def set_busy(self, busy: bool) -> None:
        """Nothing can be asked again while a reply is written."""
        self._again.setEnabled(not busy)
        self._failure.set_busy(busy)

    def text_to_copy(self) -> str:
        """Return the answer without the reasoning."""
        return split_reasoning(self.message.content).answer

    def retranslate(self) -> None:
        """Write every word again."""
        super().retranslate()
        self._again.set_words(self.tr("Answer again"))
        self._thought.retranslate()
        self._failure.retranslate()
        self._refresh()

    def _draw_waiting(self) -> None:
        if self._waiting_text is not None:
            self._show_text(self._waiting_text)
            self._waiting_text = None
            self._refresh()

    def _show_text(self, text: str) -> None:
        parts = split_reasoning(text)
        self._thought.set_text(parts.reasoning, parts.thinking and self.message.state == "streaming")
        self._answer.set_text(parts.answer)

    def _refresh(self) -> None:
        message = self.message
        writing = message.state == "streaming"
        self._answer.setVisible(self._answer.has_text)
        begun = self._answer.has_text or self._thought.has_text
        status = self._waiting_for if writing and not begun else ""
        if message.state == "stopped":
            status = self.tr("Stopped.")
        elif message.state == "interrupted":
            status = self.tr("Zhiyin was closed before this was finished.")
        elif message.facts.get("reason") == "context":
            status = self.tr("The context is full; start a new chat or choose a larger context in the settings.")
        elif message.state == "done" and not begun:
            status = self.tr("The model answered nothing.")
        self._status.setText(status)
        self._status.setVisible(bool(status))
        self._failure.setVisible(message.state == "failed")
        if message.state == "failed":
            self._failure.show_cause(message.facts.get("cause", ""), message.facts.get("message", ""))
        for widget in (self._copy, self._again):
            widget.setVisible(not writing)
        self._copy.setEnabled(self._answer.has_text)
        self._facts.setText(self._speed())

    def _speed(self) -> str:
        tokens, seconds = self.message.facts.get("tokens", 0), self.message.facts.get("seconds", 0)
        if not tokens or not seconds:
            return ""
        speed = self.tr("{speed} tokens/s").format(speed=number(tokens / seconds))
        return f"{self.message.model} · {speed}" if self.message.model else speed


class _Failure(QFrame):
    """What went wrong, and the way out."""

    retry = Signal()
    smaller = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("failure")
        self._text = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._retry = QPushButton()
        self._retry.clicked.connect(self.retry)
        self._smaller = QPushButton()
        self._smaller.clicked.connect(self.smaller)
        buttons = QHBoxLayout()
        buttons.addWidget(self._retry)
        buttons.addWidget(self._smaller)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.addWidget(self._text)
        layout.addLayout(buttons)
        self._cause, self._message = "", ""

    def show_cause(self, cause: str, message: str) -> None:
        self._cause, self._message = cause, message
        self.retranslate()

    def set_busy(self, busy: bool) -> None:
        self._retry.setEnabled(not busy)
        self._smaller.setEnabled(not busy)

    def retranslate(self) -> None:
        sentences = {
            "died": self.tr("The engine stopped unexpectedly; the chat is kept. Try again, or use a smaller context."),
            "memory": self.tr("There is not enough memory for this model with this context."),
            "context": self.tr("The chat no longer fits the context; start a new chat or choose a larger context."),
        }
        sentence = sentences.get(self._cause, "")
        self._text.setText("\n".join(part for part in (sentence, self._message) if part))
        self._retry.setText(self.tr("Try again"))
        self._smaller.setText(self.tr("Use a smaller context"))
        self._smaller.setVisible(self._cause in ("died", "memory"))


class _Thought(QFrame):
    """The model's reasoning, folded away behind a button."""

    def __init__(self) -> None:
        super().__init__()
        self._button = QPushButton()
        self._button.setCheckable(True)
        self._button.setObjectName("thoughtButton")
        self._button.toggled.connect(self._fold)
        self._text = RichText(colour="muted")
        self._thinking = False
        self.has_text = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._text)
        self._text.hide()

    def set_text(self, text: str, thinking: bool) -> None:
        self.has_text = bool(text) or thinking
        self._thinking = thinking
        self.setVisible(self.has_text)
        self.retranslate()
        if text:
            self._text.set_plain(text)

    def retranslate(self) -> None:
        words = self.tr("Thinking…") if self._thinking else self.tr("Thought")
        self._button.setText(f"{words}  {'▾' if self._button.isChecked() else '▸'}")

    def _fold(self, shown: bool) -> None:
        self._text.setVisible(shown)
        self.retranslate()


class _Body(QWidget):
    """Markdown as a column of text, code boxes and tables; widgets that did not change are kept."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = StreamingParser()
        self._text = ""
        self._parts: list[QWidget] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)

    @property
    def has_text(self) -> bool:
        return bool(self._text.strip())

    def set_text(self, text: str) -> None:
        if text == self._text:
            return
        if not text.startswith(self._text):
            self._parser = StreamingParser()
        self._text = text
        runs = [(kind, list(blocks)) for kind, blocks in _runs(self._parser.update(text))]
        for index, (kind, blocks) in enumerate(runs):
            _fill(self._part(index, _WIDGETS[kind]), blocks)
        for part in self._parts[len(runs) :]:
            part.hide()
            part.deleteLater()
        del self._parts[len(runs) :]

    def _part(self, index: int, kind: Callable[[], QWidget]) -> QWidget:
        if index < len(self._parts):
            if type(self._parts[index]) is kind:
                return self._parts[index]
            old = self._parts[index]
            self._parts[index] = kind()
            self._layout.replaceWidget(old, self._parts[index])
            old.hide()
            old.deleteLater()
        else:
            self._parts.append(kind())
            self._layout.addWidget(self._parts[index])
        return self._parts[index]


_WIDGETS: dict[str, Callable[[], QWidget]] = {"text": RichText, "code": CodeBox, "table": TableText}


def _runs(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Group neighbours that share a widget: texts; each code and each table has its own."""
    runs: list[tuple[str, list[Block]]] = []
    for kind, group in groupby(blocks, key=lambda block: block.kind if block.kind in ("code", "table") else "text"):
        members = list(group)
        runs += [(kind, members)] if kind == "text" else [(kind, [member]) for member in members]
    return runs


def _fill(widget: QWidget, blocks: list[Block]) -> None:
    if isinstance(widget, CodeBox):
        widget.set_code(blocks[0].text, blocks[0].language)
    elif isinstance(widget, RichText):
        widget.set_blocks(blocks)


def message_widget(message: Message, versions: Versions) -> QuestionWidget | ReplyWidget:
    """Return the widget for a message."""
    return QuestionWidget(message, versions) if message.role == "user" else ReplyWidget(message, versions)
