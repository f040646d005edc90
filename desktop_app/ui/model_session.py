"""Which model is loaded, and how that stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from desktop_app.engine.client import EngineDied, EngineExit, EngineFailed
from desktop_app.engine.protocol import Event, Load, LoadSettings, ModelInfo
from desktop_app.library import InstalledModel
from desktop_app.settings import Settings
from desktop_app.ui.engine_bridge import EngineBridge

SMALLEST_CONTEXT = 512

Kind = Literal["none", "loading", "ready", "failed"]


@dataclass(frozen=True)
class EngineState:
    """What the window shows of the engine."""

    kind: Kind = "none"
    model: InstalledModel | None = None
    info: ModelInfo | None = None
    part: float = 0.0
    """How much of the model is loaded, 0 to 1."""
    cause: str = ""
    """Why it failed: died, memory, file, model, context or internal."""
    message: str = ""
    """The engine's own sentence."""
    context: int = 0
    """The context that was asked for, in tokens."""


class ModelSession(QObject):
    """Loads models, one at a time."""

    changed = Signal(EngineState)

    def __init__(self, engine: EngineBridge, settings: Settings, parent: QObject | None = None) -> None:
        """Nothing is loaded yet."""
        super().__init__(parent)
        self._engine = engine
        self._settings = settings
        self._turn = 0
        self.state = EngineState()
        engine.exited.connect(self._exited)

    def choose(self, model: InstalledModel) -> None:
        """Load a model instead of the current one."""
        self._turn += 1
        turn = self._turn
        context = self._settings.context
        self._set(EngineState("loading", model, context=context))

        def progress(event: Event) -> None:
            if turn == self._turn and event.kind == "progress":
                self._set(replace(self.state, part=float(event.data["part"])))

        def done(info: dict[str, Any]) -> None:
            if turn == self._turn:
                self._set(EngineState("ready", model, ModelInfo(**info), 1.0, context=context))

        def failed(error: Exception) -> None:
            if turn == self._turn:
                self._set(_failure(model, error, context))

        self._engine.submit(Load(str(model.path), LoadSettings(context=context)), progress, done, failed)

    def reload(self) -> None:
        """Load the current model again, with the settings as they are now."""
        if self.state.model is not None:
            self.choose(self.state.model)

    def reload_with_context(self, context: int) -> None:
        """Load the current model with another context, and keep that setting."""
        self._settings.context = max(SMALLEST_CONTEXT, context)
        self.reload()

    def _exited(self, end: EngineExit) -> None:
        if self.state.kind == "ready":
            state = self.state
            self._set(EngineState("failed", state.model, None, 0.0, "died", end.message, state.context))

    def _set(self, state: EngineState) -> None:
        self.state = state
        self.changed.emit(state)


def _failure(model: InstalledModel, error: Exception, context: int) -> EngineState:
    cause = error.cause if isinstance(error, EngineFailed) else "died" if isinstance(error, EngineDied) else "internal"
    return EngineState("failed", model, None, 0.0, cause, str(error), context)
