"""Layout of the window: the list of chats beside the page, or over it where the window is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from desktop_app.ui.chat.chat_view import SCROLL_BAR
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.icons import IconButton

_NARROW = 700
"""Below this width of the window the list of chats makes room."""


class Frame(QWidget):
    """Arranges the window's parts, and shows or hides the list of chats."""

    sidebar_toggled = Signal(bool)
    """The user shows or hides the list of chats, and wants it so the next time."""
    new_asked = Signal()

    def __init__(
        self,
        sidebar: QWidget,
        progress: QWidget,
        left: Sequence[QWidget],
        right: Sequence[QWidget],
        *,
        shows_sidebar: bool,
    ) -> None:
        """`sidebar` has the chats; `left` and `right` are in the bar above the page, and `progress` below the bar."""
        super().__init__()
        self._sidebar, self._progress = sidebar, progress
        self._wanted = shows_sidebar
        self._narrow = False
        self._toggle = IconButton("sidebar")
        self._toggle.clicked.connect(self.toggle_sidebar)
        self._new = IconButton("new-chat")
        self._new.clicked.connect(self.new_asked)
        bar = QHBoxLayout()
        bar.setContentsMargins(10, 8, 10, 8)
        bar.setSpacing(4)
        for part in (self._toggle, self._new, *left):
            bar.addWidget(part)
        bar.addStretch()
        for part in right:
            bar.addWidget(part)
        self._main = QVBoxLayout()
        self._main.setContentsMargins(0, 0, 0, 0)
        self._main.setSpacing(0)
        self._main.addLayout(bar)
        self._main.addWidget(progress)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self._row.addWidget(sidebar)
        self._row.addLayout(self._main, 1)
        self._writing = QWidget()
        self._retranslate()
        self.show_sidebar(shows_sidebar)

    def fill(self, page: QWidget, below: Sequence[QWidget], writing: Sequence[QWidget]) -> None:
        """Put a page below the bar, jobs and notices below it, and what belongs to writing in a column at the end."""
        self._main.addWidget(page, 1)
        for part in below:  # below the page: what is under the pointer does not move when it appears
            self._main.addWidget(part)
        column = QVBoxLayout(self._writing)
        column.setContentsMargins(20, 0, 20, 16)
        column.setSpacing(8)
        for part in writing:
            column.addWidget(part)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(0, 0, SCROLL_BAR, 0)
        bottom.addStretch(1)
        bottom.addWidget(self._writing, 1000)
        bottom.addStretch(1)
        self._main.addLayout(bottom)

    def set_column(self, width: int) -> None:
        """Let what belongs to writing be this wide at most."""
        self._writing.setMaximumWidth(width)

    def add_panel(self, panel: QWidget) -> None:
        """Put a panel at the right of the page."""
        self._row.addWidget(panel)

    def show_writing(self, shown: bool) -> None:
        """Show or hide what belongs to writing a message."""
        self._writing.setVisible(shown)

    @property
    def is_covered(self) -> bool:
        """Whether the list of chats lies over the page."""
        return self._narrow and self._sidebar.isVisible()

    def show_sidebar(self, shown: bool = True) -> None:
        """Show or hide the list of chats."""
        self._sidebar.setVisible(shown)
        self._new.setVisible(self._narrow or not shown)  # the list of chats has that button too
        self._place_sidebar()

    def toggle_sidebar(self) -> None:
        """Show the list of chats, or hide it."""
        shown = self._sidebar.isHidden()
        self.show_sidebar(shown)
        if not self._narrow:
            self._wanted = shown
            self.sidebar_toggled.emit(shown)

    def uncover(self) -> None:
        """Take the list of chats away where it lies over the page."""
        if self._narrow:
            self.show_sidebar(False)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Give a small window's width to the page."""
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        if narrow != self._narrow:
            self._narrow = narrow
            if narrow:
                self._row.removeWidget(self._sidebar)
            else:
                self._row.insertWidget(0, self._sidebar)
            self.show_sidebar(not narrow and self._wanted)
        self._place_sidebar()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _retranslate(self) -> None:
        self._toggle.set_words(self.tr("Show or hide the chats"), SHORTCUTS.text("sidebar"))
        self._new.set_words(self.tr("New chat"), SHORTCUTS.text("new-chat"))

    def _place_sidebar(self) -> None:
        """In a narrow window, lay the list of chats over the page, below the bar: both do not fit."""
        if self._narrow:
            top = self._progress.y()
            self._sidebar.setGeometry(0, top, self._sidebar.width(), self.height() - top)
            self._sidebar.raise_()
