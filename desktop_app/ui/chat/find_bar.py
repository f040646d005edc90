"""The bar that finds words in the open chat: how many places there are, and a step to the next or the previous one."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QWidget

from desktop_app.ui.i18n.formats import number
from desktop_app.ui.widgets.enabling import NOTHING_FOUND, UNWRITTEN, enable
from desktop_app.ui.widgets.icons import IconButton

_WIDTH, _LONGEST = 400, 200


class FindBar(QFrame):
    """A line for the words, a count and three buttons."""

    searched = Signal(str)
    """The words changed; "": there are none."""
    stepped = Signal(int)
    """To the next place (1) or the previous one (-1)."""
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin empty."""
        super().__init__(parent)
        self.setObjectName("findBar")
        self.setFixedWidth(_WIDTH)
        self._words = _Words()
        self._words.setMaxLength(_LONGEST)
        self._words.setClearButtonEnabled(True)
        self._words.textChanged.connect(self.searched)
        self._words.stepped.connect(self.stepped)
        self._words.given_up.connect(self.close)
        self._count = QLabel(alignment=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._count.setObjectName("muted")
        self._previous, self._next, self._close = (IconButton(name, size=16) for name in ("up", "down", "close"))
        self._previous.clicked.connect(lambda: self.stepped.emit(-1))
        self._next.clicked.connect(lambda: self.stepped.emit(1))
        self._close.clicked.connect(self.close)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(self._words, 1)
        for widget in (self._count, self._previous, self._next, self._close):
            layout.addWidget(widget)
        self._retranslate()
        self.show_count(0, 0)

    @property
    def words(self) -> str:
        """The search text."""
        return self._words.text()

    def begin(self, words: str = "") -> None:
        """Let the user write, with some words to begin with."""
        if words:
            self._words.setText(words)
        self.show()
        self.raise_()
        self._words.setFocus()
        self._words.selectAll()

    def show_count(self, place: int, count: int) -> None:
        """Show which of how many places is shown, from 1."""
        if not self.words:
            self._count.setText("")
        elif count:
            words = self.tr("{place} of {count}")
            self._count.setText(words.format(place=number(place, 0), count=number(count, 0)))
        else:
            self._count.setText(self.tr("Nothing found"))
        for button in (self._previous, self._next):
            enable(button, {UNWRITTEN: not self.words, NOTHING_FOUND: not count})

    def close(self) -> bool:
        """Take the bar away."""
        if self.isHidden():
            return True
        self.hide()
        self.closed.emit()
        return True

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._words.setPlaceholderText(self.tr("Find in this chat"))
        self._words.setAccessibleName(self.tr("Find in this chat"))
        self._previous.set_words(self.tr("Previous place"), "Shift+Enter")
        self._next.set_words(self.tr("Next place"), "Enter")
        self._close.set_words(self.tr("Close"), "Esc")


class _Words(QLineEdit):
    """Enter goes to the next place, with Shift to the previous one; Esc gives up."""

    stepped = Signal(int)
    given_up = Signal()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and cast(QKeyEvent, event).key() == Qt.Key.Key_Escape:
            event.accept()  # elsewhere it is the window's shortcut
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        backwards = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        match event.key():
            case Qt.Key.Key_Escape:
                self.given_up.emit()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.stepped.emit(-1 if backwards else 1)
            case Qt.Key.Key_Down:
                self.stepped.emit(1)
            case Qt.Key.Key_Up:
                self.stepped.emit(-1)
            case _:
                super().keyPressEvent(event)
