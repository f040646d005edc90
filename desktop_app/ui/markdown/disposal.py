"""Widgets that are shown no more, deleted a little at a time: hundreds of texts and tables together take several frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from desktop_app.ui.markdown.view import MarkdownView

_PAUSE_MS = 4
_AT_ONCE = 10
"""Texts or tables that are deleted in a few milliseconds."""
_MESSAGES = 3
"""Widgets around them, with their buttons, that are deleted in about that time."""


class Disposal(QObject):
    """Deletes widgets over several turns of the window."""

    def __init__(self, parent: QObject) -> None:
        """Begin with nothing to do."""
        super().__init__(parent)
        self._waiting: list[tuple[QWidget, list[MarkdownView]]] = []
        self._timer = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._timer.timeout.connect(self._go_on)

    def take(self, widget: QWidget) -> None:
        """Hide and delete a widget that nobody uses any more."""
        from desktop_app.ui.markdown.view import MarkdownView

        widget.hide()
        views = widget.findChildren(MarkdownView)
        for view in views:
            view.stop()
        self._waiting.append((widget, views))
        self._timer.start()

    @property
    def is_busy(self) -> bool:
        """Something is not deleted yet."""
        return bool(self._waiting)

    def _go_on(self) -> None:
        left = _AT_ONCE
        for _ in range(_MESSAGES):
            if not self._waiting:
                return
            widget, views = self._waiting[-1]
            for view in views:
                left -= view.shrink(left)
            if not left:
                break
            self._waiting.pop()
            widget.deleteLater()
        self._timer.start()
