"""Models and downloads move to another folder: in a process of its own, while nothing else uses them."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.paths import models_folder, storage_folder
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.models.model_session import ModelSession
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.library.storage import Moving


class StorageBridge(QObject):
    """Moves them, one move at a time."""

    changed = Signal()
    """A move began, went on or ended."""
    moved = Signal()
    """Models are read from another folder now, or from the same one again."""

    def __init__(
        self,
        library: LibraryBridge,
        models: ModelSession,
        conversions: ConversionBridge,
        settings: Settings,
        parent: QObject | None = None,
    ) -> None:
        """Nothing moves yet."""
        super().__init__(parent)
        self._library, self._models, self._conversions = library, models, conversions
        self._settings = settings
        self._background = Background("storage", self)
        self._stop = threading.Event()
        self.under_way = False
        self.progress: Moving | None = None
        self.error: Exception | None = None
        """Why the last move did not happen."""

    def begin(self) -> None:
        """Remove what an earlier move left."""

        def finish() -> None:
            from desktop_app.library.storage import finish_move

            finish_move()

        self._background.run(finish, None, lambda _: None)

    def move(self, target: Path) -> None:
        """Move models and downloads into a folder; the model in use is unloaded meanwhile."""
        if self.under_way:
            return
        if self._conversions.current is not None:
            self._failed(ZhiyinError("A model is being downloaded or converted; wait for it, or stop it.", code="busy"))
            return
        self.under_way, self.progress, self.error = True, None, None
        self._stop = threading.Event()
        self._conversions.hold(held=True)
        self.changed.emit()
        self._models.unload(partial(self._run, target))

    def cancel(self) -> None:
        """Stop; everything stays where it was."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait for the end."""
        self._stop.set()
        self._background.close()

    def _run(self, target: Path) -> None:
        from desktop_app.library.storage import move_storage
        from desktop_app.processes.worker import in_process

        source, stop = storage_folder(), self._stop
        self._background.run(
            lambda: in_process(
                partial(move_storage, target), lambda event: self._background.post(partial(self._tell, event)), stop
            ),
            partial(self._done, source),
            self._failed,
        )

    def _tell(self, progress: Moving) -> None:
        self.progress = progress
        self.changed.emit()

    def _done(self, source: Path, target: Path) -> None:
        from desktop_app.library.storage import moved_path

        self._settings.model = moved_path(self._settings.model, source, target)
        self._library.use_folder(models_folder())
        self._ended()

    def _failed(self, error: Exception) -> None:
        self.error = error
        self._ended()

    def _ended(self) -> None:
        was_under_way, self.under_way = self.under_way, False
        if was_under_way:
            self._conversions.hold(held=False)
            self.moved.emit()
        self.changed.emit()
