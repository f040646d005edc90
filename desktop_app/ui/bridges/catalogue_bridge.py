"""The catalogue for the window: planned on a thread for what this computer has now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.models.model_session import ModelSession

if TYPE_CHECKING:
    from desktop_app.library.catalogue import Overview
    from desktop_app.library.first_run import FirstRun
    from desktop_app.planning.configuration import Computer
    from desktop_app.system.hardware import Hardware


class CatalogueBridge(QObject):
    """The models that may be had, and how each would run here."""

    changed = Signal(object)
    """`overview` is new."""
    failed = Signal(Exception)
    """The catalogue cannot be read: the core's sentence."""

    def __init__(
        self, library: LibraryBridge, models: ModelSession, settings: Settings, parent: QObject | None = None
    ) -> None:
        """Nothing is read before it is asked for."""
        super().__init__(parent)
        self._library = library
        self._models = models
        self._settings = settings
        self._background = Background("catalogue", self)
        self._asking = False
        self._ask_again = False
        self.overview: Overview | None = None
        """None: not read yet."""

    def refresh(self) -> None:
        """Plan anew. The list comes at once the first time; what fits follows when the engine has told what is free."""
        if self._asking:
            self._ask_again = True
            return
        self._asking, self._ask_again = True, False
        if self.overview is None:
            self._plan(None)
        self._models.find_computer(self._plan, lambda _: self._planned())

    def find_first_run(self, on_done: Callable[[FirstRun], None], on_failed: Callable[[Exception], None]) -> None:
        """Find out what to offer to somebody without a model."""
        models, settings = list(self._library.models), self._settings

        def offer(computed: tuple[Hardware, Computer]) -> None:
            hardware, computer = computed

            def choose() -> FirstRun:
                from desktop_app.library.catalogue import overview
                from desktop_app.library.first_run import first_run

                context = settings.context or None
                return first_run(hardware, overview(computer, models, context=context), settings.download_rate)

            self._background.run(choose, on_done, on_failed)

        self._models.find_hardware(offer, on_failed)

    def close(self) -> None:
        """Wait for the thread."""
        self._background.close()

    def _plan(self, computer: Computer | None) -> None:
        models, context = [*self._library.models, *self._library.measuring], self._settings.context or None

        def show(planned: Overview) -> None:
            self.overview = planned
            self.changed.emit(planned)
            if computer is not None:
                self._planned()

        def fail(error: Exception) -> None:
            self.failed.emit(error)
            self._planned()

        def plan() -> Overview:
            from desktop_app.library.catalogue import overview

            return overview(computer, models, context=context)

        self._background.run(plan, show, fail)

    def _planned(self) -> None:
        self._asking = False
        if self._ask_again:
            self.refresh()
