"""Two models side by side: asked, asked further, stopped, and the answers of one kept as a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.chat.attachment import Draft
from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.bridges.comparison_bridge import ComparisonBridge
from desktop_app.ui.services import Services

if TYPE_CHECKING:
    from desktop_app.chat.comparison import Answer, Turn


class ComparisonController(QObject):
    """Makes room for the two: the model of the chats is unloaded meanwhile, and loaded again afterwards."""

    heard = Signal(int, object)
    """Which of the two, and its `Answer` so far."""
    begun = Signal(object)
    """A question (`Draft`) is on its way; the answers so far belong to earlier ones."""
    cleared = Signal()
    """The next question is the first one."""
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
        self._turns: list[Turn] = []
        """The questions before."""
        self._question = Draft()
        self._answers: list[Answer] = []
        bridge.heard.connect(self._heard)
        bridge.ended.connect(lambda: self.busy_changed.emit(False))

    def ask(self, models: Sequence[InstalledModel], question: Draft) -> None:
        """Ask both, further where the same two answered before."""
        from desktop_app.chat.comparison import Answer, path_of

        services = self._services
        if services.chats.replies.busy:
            self.refused.emit()
            return
        self._before = self._before or services.models.state.model
        self._go_on([answer.model for answer in self._answers] == list(models))
        self._question, self._answers = question, [Answer(model) for model in models]
        paths = [path_of(self._turns, question, number) for number in range(len(models))]
        self.begun.emit(question)
        for number, answer in enumerate(self._answers):
            self.heard.emit(number, answer)
        self.busy_changed.emit(True)
        self._turn += 1
        turn, settings = self._turn, replace(services.settings)

        def unloaded() -> None:
            if turn == self._turn:
                self._bridge.ask(models, paths, settings)

        services.models.unload(unloaded)

    def clear(self) -> None:
        """Let the next question be the first one."""
        self._turns, self._answers = [], []
        self.cleared.emit()

    def stop(self) -> None:
        """End the answers as they are."""
        self._turn += 1
        if self._bridge.busy:
            self._bridge.stop()
        else:  # the chats' model is being unloaded yet
            self.busy_changed.emit(False)

    def keep(self, number: int) -> None:
        """Go on with one model's answers in a chat; the other's are versions of them."""
        from desktop_app.chat.comparison import kept

        self._before = None
        model = self._answers[number].model
        self._services.chats.take(*kept([*self._turns, self._turn_now()], number))
        self._services.models.choose(model)
        self.clear()
        self.kept.emit()

    def leave(self) -> None:
        """Let the chats have their model again."""
        before, self._before = self._before, None
        if before is not None:
            self.stop()
        if before is not None and self._services.models.state.kind == "none":
            self._services.models.choose(before)

    def _turn_now(self) -> Turn:
        from desktop_app.chat.comparison import Turn

        return Turn(self._question, tuple(self._answers))

    def _go_on(self, same: bool) -> None:
        """Take the last question among those before, or begin anew with other models."""
        if not same:
            self.clear()
        elif any(answer.text for answer in self._answers):
            self._turns.append(self._turn_now())

    def _heard(self, number: int, answer: Answer) -> None:
        self._answers[number] = answer
        self.heard.emit(number, answer)
