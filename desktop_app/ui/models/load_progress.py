"""The thin bar above the page that shows how much of a model is loaded."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar, QWidget

from desktop_app.ui.models.model_session import EngineState

_HEIGHT = 3
_STEPS = 1000


class LoadProgress(QProgressBar):
    """Keeps its room where nothing is loaded, so that nothing moves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin hidden."""
        super().__init__(parent, textVisible=False, maximum=_STEPS)
        self.setFixedHeight(_HEIGHT)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.hide()

    def show_state(self, state: EngineState) -> None:
        """Follow the engine."""
        self.setVisible(state.kind == "loading")
        self.setValue(round(state.part * _STEPS))
