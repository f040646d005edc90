"""Two models side by side on one question: asked, stopped, and one of the answers kept as a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.bridges.comparison_bridge import ComparisonBridge
from desktop_app.ui.services import Services

if TYPE_CHECKING:
    from desktop_app.chat.comparison import Answer


class ComparisonController(QObject):
    """Makes room for the two: the model of the chats is unloaded meanwhile, and loaded again afterwards."""

    heard = Signal(int, object)
    """Which of the two, and its `Answer` so far."""
    busy_changed = Signal(bool)
    refused = Signal()
    """A reply of a chat is being written, which would lose its model."""
    kept = Signal()
    """One answer became a chat, which is open now."""

    def __init__(self, services: Services, bridge: ComparisonBridge, parent: QObject | None = None) -> None:
        """Nothing is asked yet."""
        super().__init__(parent)
        self._services, self._bridge = services, bridge
        self._before: InstalledModel | None = None
        self._turn = 0
        self._question = ""
        self._answers: list[Answer] = []
        bridge.heard.connect(self._heard)
        bridge.ended.connect(lambda: self.busy_changed.emit(False))

    def ask(self, models: Sequence[InstalledModel], question: str) -> None:
        """Ask both."""
        from desktop_app.chat.comparison import Answer

        services = self._services
        if services.chats.replies.busy:
            self.refused.emit()
            return
        self._before = self._before or services.models.state.model
        self._question, self._answers = question, [Answer(model) for model in models]
        for number, answer in enumerate(self._answers):
            self.heard.emit(number, answer)
        self.busy_changed.emit(True)
        self._turn += 1
        turn, settings = self._turn, replace(services.settings)

        def unloaded() -> None:
            if turn == self._turn:
                self._bridge.ask(models, question, settings)

        services.models.unload(unloaded)

    def stop(self) -> None:
        """End the answers as they are."""
        self._turn += 1
        if self._bridge.busy:
            self._bridge.stop()
        else:  # the chats' model is being unloaded yet
            self.busy_changed.emit(False)

    def keep(self, number: int) -> None:
        """Go on with one of the answers in a chat; the other one is a version of it."""
        self._before = None
        from desktop_app.chat.comparison import kept

        self._services.chats.take(*kept(self._question, self._answers, number))
        self._services.models.choose(self._answers[number].model)
        self.kept.emit()

    def leave(self) -> None:
        """Let the chats have their model again."""
        before, self._before = self._before, None
        if before is not None:
            self.stop()
        if before is not None and self._services.models.state.kind == "none":
            self._services.models.choose(before)

    def _heard(self, number: int, answer: Answer) -> None:
        self._answers[number] = answer
        self.heard.emit(number, answer)
