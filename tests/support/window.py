"""A person at the window: what the tests do with keyboard and mouse, and what can be seen."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QListWidget, QPushButton, QToolButton, QWidget

from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.message_edit import MessageEdit
from desktop_app.ui.chat.message_widget import MessageWidget
from desktop_app.ui.chat.question_widget import QuestionWidget
from desktop_app.ui.chat.reply_widget import ReplyWidget
from desktop_app.ui.services import Services
from desktop_app.ui.window import MainWindow

LONG = "Write a long story about a fox, with a title and three parts."
"""What the starter model answers at length."""
_PATIENCE = 120
W = TypeVar("W", bound=QObject)


def run_events(milliseconds: int) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def run_until(condition: Callable[[], object], told: Callable[[], object] = str) -> None:
    """Let the window live until something is so; `told` is said where it never is."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {_PATIENCE} s in vain {told()}"
        run_events(10)


class Person:
    """Uses a window."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window
        self.services: Services = window.services

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        run_until(condition, lambda: f"with the messages {self.messages}")

    def find(self, kind: type[W], name: str = "") -> W:
        found: W | None = self.window.findChild(kind, name or None)  # type: ignore[arg-type]
        assert found is not None
        return found

    @property
    def editor(self) -> MessageEdit:
        return self.find(Composer).findChild(MessageEdit)

    def type(self, text: str) -> None:
        QTest.keyClicks(self.editor, text)

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.editor, key, modifiers)

    def send(self, text: str) -> None:
        self.editor.setPlainText(text)
        self.press(Qt.Key.Key_Return)

    def ask(self, text: str) -> str:
        """Send a message and return the whole reply."""
        self.send(text)
        self.wait(lambda: not self.busy)
        return self.messages[-1][1]

    def click(self, words: str, within: QWidget | None = None) -> None:
        """Click the visible button with these words."""
        for button in self._buttons(within or self.window):
            if words in (button.text(), button.accessibleName()) and button.isVisible():
                QTest.mouseClick(button, Qt.MouseButton.LeftButton)
                return
        raise AssertionError(f"no button {words!r} among {self.buttons(within)}")

    def buttons(self, within: QWidget | None = None) -> list[str]:
        return [b.text() or b.accessibleName() for b in self._buttons(within or self.window) if b.isVisible()]

    def kill_engine(self) -> None:
        pid = self.services.engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    @property
    def busy(self) -> bool:
        return self.services.chats.replies.busy

    @property
    def model_state(self) -> str:
        return self.services.models.state.kind

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The role and the text of every message of the open chat."""
        return [(m.role, self.services.chats.replies.text_of(m)) for m in self.services.chats.list.path]

    @property
    def widgets(self) -> list[MessageWidget]:
        """The open chat's messages as they are shown, once they are."""
        ids = [message.id for message in self.services.chats.list.path]

        def shown() -> list[MessageWidget]:
            found = [*self.window.findChildren(QuestionWidget), *self.window.findChildren(ReplyWidget)]
            return [widget for widget in found if widget.message.id in ids and widget.isVisible()]

        self.wait(lambda: len(shown()) == len(ids))
        return sorted(shown(), key=lambda widget: ids.index(widget.message.id))

    @property
    def titles(self) -> list[str]:
        """The list of chats as it is shown, without the headings."""
        chats = self.find(QListWidget, "chatList")
        items = [chats.item(i) for i in range(chats.count())]
        return [item.text().split("\n")[0] for item in items if item.flags() & Qt.ItemFlag.ItemIsEnabled]

    def sentences(self, within: QWidget | None = None) -> str:
        """All words of visible labels."""
        labels = (within or self.window).findChildren(QLabel)
        return "\n".join(label.text() for label in labels if label.isVisible())

    def close(self) -> None:
        if self.window.isVisible():
            self.window.close()

    @staticmethod
    def _buttons(within: QWidget) -> list[QPushButton | QToolButton]:
        return [*within.findChildren(QPushButton), *within.findChildren(QToolButton)]
