"""A question to two models, for the window: asked on a thread, heard on the window's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import InstalledModel
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background

if TYPE_CHECKING:
    from desktop_app.chat.comparison import Answer, Comparison
    from desktop_app.chat.conversation import Message


class ComparisonBridge(QObject):
    """Asks one question at a time."""

    heard = Signal(int, object)
    """Which of the two, and its `Answer` so far."""
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        """Nothing is asked yet."""
        super().__init__(parent)
        self._asking = Background("comparison", self)
        self._stopping = Background("comparison-end", self)
        self._current: Comparison | None = None

    @property
    def busy(self) -> bool:
        """An answer is on its way."""
        return self._current is not None

    def ask(
        self,
        models: Sequence[InstalledModel],
        paths: Sequence[Sequence[Message]],
        settings: Settings,
    ) -> None:
        """Ask as `Comparison` does; `heard` tells how far each model is, by its number."""
        from desktop_app.chat.comparison import Comparison

        def tell(number: int, answer: Answer) -> None:
            self._asking.post(lambda: self.heard.emit(number, answer) if self._current is current else None)

        current = self._current = Comparison(models, paths, settings, tell)
        self._asking.run(current.run, lambda _: self._end(), lambda _: self._end())

    def stop(self) -> None:
        """Let what was written so far be the answers; `ended` follows."""
        if self._current is not None:
            self._stopping.run(self._current.stop)

    def close(self) -> None:
        """End everything."""
        if self._current is not None:
            self._current.stop()
        self._stopping.close()
        self._asking.close()

    def _end(self) -> None:
        self._current = None
        self.ended.emit()
