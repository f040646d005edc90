"""Windows that stay on the screen: as large as their content, never larger than what is free there; the rest scrolls."""

from __future__ import annotations

from PySide6.QtCore import QMargins, QPoint, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QFrame, QScrollArea, QVBoxLayout, QWidget

_TITLE_BAR = QMargins(4, 32, 4, 4)
"""Around a window before the system has told how wide its frame is."""
_LOWEST = 160


class FittingDialog(QDialog):
    """A dialog of one page that scrolls, with its buttons below it, always in sight."""

    def __init__(self, width: int, parent: QWidget | None = None) -> None:
        """`width` is what it takes where the screen has it, in pixels."""
        super().__init__(parent)
        self._wanted_width = width
        self._content: QWidget | None = None
        self._below: QWidget | None = None
        self._moving = QTimer(self, singleShot=True, interval=0)
        self._moving.timeout.connect(lambda: move_onto_screen(self))

    def set_content(self, page: QWidget, below: QWidget) -> None:
        """Show a page that has a layout, and below it what does not scroll."""
        self._content, self._below = page, below
        below.setContentsMargins(20, 8, 20, 16)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(ScrollingPage(page), 1)
        layout.addWidget(below)

    def fit(self) -> None:
        """Take the height that everything needs, as far as the screen has it; `set_content` was called."""
        room = free_area(self).size()
        width = min(max(self._wanted_width, self._below.minimumSizeHint().width() if self._below else 0), room.width())
        self.setMaximumSize(room)
        needed = self._needed(width)
        self.setMinimumSize(min(self._wanted_width, room.width()) // 2, min(needed, _LOWEST))
        self.resize(width, min(needed, room.height()))
        move_onto_screen(self)  # at once: what grows is not seen hanging out of the screen
        self._moving.start()  # and again once the system has told of the new frame

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Fit into the screen that it is shown on."""
        super().showEvent(event)
        self.fit()
        self._centre()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Stay on the screen."""
        super().resizeEvent(event)
        self._moving.start()

    def _centre(self) -> None:
        """Stand over the middle of the window that opened it, as far as the screen allows."""
        parent = self.parentWidget()
        if parent is not None and parent.window().isVisible():
            place = self.geometry()
            place.moveCenter(parent.window().geometry().center())
            self.setGeometry(place)
            move_onto_screen(self)

    def _needed(self, width: int) -> int:
        """Return the height that everything takes at a width."""
        layout = self._content.layout() if self._content is not None else None
        if layout is None or self._below is None:
            return self.sizeHint().height()
        for part in self._content.findChildren(QWidget) if self._content is not None else ():
            if (inner := part.layout()) is not None:
                inner.invalidate()  # it hears of changed words later than this
        layout.activate()
        page = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        return page + self._below.sizeHint().height()


class ScrollingPage(QScrollArea):
    """A page that scrolls where it is higher than its room, and asks for all of its height."""

    def __init__(self, page: QWidget) -> None:
        """Show a page."""
        super().__init__(widgetResizable=True)
        self._page = page
        page.setObjectName("dialogPage")
        self.setObjectName("dialogScroll")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(page)

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Return the page's."""
        return self._page.sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Let the height be as low as it has to."""
        return QSize(self._page.minimumSizeHint().width(), 0)


def free_area(window: QWidget) -> QRect:
    """Return what of its screen a window may cover with its contents, in pixels that do not depend on the scale."""
    screen = window.screen() or QGuiApplication.primaryScreen()
    return screen.availableGeometry().marginsRemoved(_frame(window))


def bounded(window: QWidget, wanted: QSize) -> QSize:
    """Return a size, made smaller where the window's screen has less room."""
    return wanted.boundedTo(free_area(window).size())


def move_onto_screen(window: QWidget) -> None:
    """Move a window that is not all on its screen."""
    area, now = free_area(window), window.geometry()
    to = QPoint(
        max(area.left(), min(now.left(), area.right() + 1 - now.width())),
        max(area.top(), min(now.top(), area.bottom() + 1 - now.height())),
    )
    if to != now.topLeft():
        window.setGeometry(QRect(to, now.size()))  # `move` places the frame, whose size is not known before it is shown


def _frame(window: QWidget) -> QMargins:
    handle = window.windowHandle()
    margins = handle.frameMargins() if handle is not None and window.isVisible() else QMargins()
    return _TITLE_BAR if margins.isNull() else margins
