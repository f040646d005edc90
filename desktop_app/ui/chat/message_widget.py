"""The base of message widgets: an id, the buttons below, versions."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QWidget

from desktop_app.chat.conversation import Message
from desktop_app.ui.widgets import theme
from desktop_app.ui.widgets.enabling import REPLYING, enable
from desktop_app.ui.widgets.icons import IconButton, icon
from desktop_app.ui.widgets.menus import light_only_under_pointer

_COPIED_MS = 1500


@dataclass(frozen=True)
class Versions:
    """Where a message stands among its versions."""

    index: int = 0
    ids: tuple[str, ...] = ()


class MessageWidget(QWidget):
    """Base of `QuestionWidget` and `ReplyWidget`."""

    version_chosen = Signal(str)
    branch_asked = Signal(str)
    """The chat is to go on from this message in a chat of its own."""
    deletion_asked = Signal(str)

    def __init__(self, message: Message, versions: Versions) -> None:
        """Show a message."""
        super().__init__()
        self.message = message
        self._versions = versions
        self._steps: tuple[IconButton, ...] = ()
        self._actions = QHBoxLayout()
        self._actions.setContentsMargins(0, 0, 0, 0)
        self._actions.setSpacing(2)
        self._copy = IconButton("copy", size=16)
        self._copy.clicked.connect(self._copy_text)
        self._more = IconButton("more", size=16)
        self._more.clicked.connect(self._show_menu)

    @property
    def is_building(self) -> bool:
        """A part of it is not shown yet."""
        return False

    @property
    def is_edited(self) -> bool:
        """Something is being written in it, which would be lost with it."""
        return False

    @property
    def answer(self) -> QWidget:
        """The widget that a search looks through."""
        return self

    def show_all(self) -> None:
        """Show what a long message leaves out at first."""

    def text_to_copy(self) -> str:
        """Return what the copy button copies."""
        return self.message.content or self.message.whole

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.retranslate()

    def retranslate(self) -> None:
        """Write every word again."""
        self._copy.set_words(self.tr("Copy"))
        self._more.set_words(self.tr("More"))
        if self._steps:
            previous, following = self._steps
            previous.set_words(self.tr("Previous version"))
            following.set_words(self.tr("Next version"))
            enable(previous, {self.tr("This is the first version."): self._versions.index == 0})
            enable(
                following, {self.tr("This is the last version."): self._versions.index + 1 == len(self._versions.ids)}
            )

    def add_versions(self) -> None:
        """Put the version buttons at the end of the actions, if there is more than one version."""
        place, count = self._versions.index, len(self._versions.ids)
        if count < 2:
            return
        previous, following = self._steps = (IconButton("previous", size=14), IconButton("next", size=14))
        previous.clicked.connect(lambda: self._step(-1))
        following.clicked.connect(lambda: self._step(1))
        label = QLabel(f"{place + 1}/{count}")
        label.setObjectName("muted")
        for widget in (previous, label, following):
            self._actions.addWidget(widget)

    def set_changeable(self, changeable: bool) -> None:
        """Nothing is deleted or branched off while a reply is written."""
        enable(self._more, {REPLYING: not changeable})

    def _show_menu(self) -> None:
        menu = QMenu(self)
        menu.setObjectName("messageMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        muted = theme.current().muted
        branch = menu.addAction(icon("branch", muted), self.tr("Go on from here in a new chat"))
        branch.triggered.connect(lambda: self.branch_asked.emit(self.message.id))
        delete = menu.addAction(icon("delete", muted), self.tr("Delete this message"))
        delete.triggered.connect(lambda: self.deletion_asked.emit(self.message.id))
        light_only_under_pointer(self._more, menu)
        menu.popup(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def _step(self, by: int) -> None:
        self.version_chosen.emit(self._versions.ids[self._versions.index + by])

    def _copy_text(self) -> None:
        QGuiApplication.clipboard().setText(self.text_to_copy())
        self._copy.set_icon("check")
        QTimer.singleShot(_COPIED_MS, self._copy, lambda: self._copy.set_icon("copy"))
