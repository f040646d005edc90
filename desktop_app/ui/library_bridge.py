"""The installed models for the window: heads are read and files are imported on a thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop_app.library import InstalledModel, Library
from desktop_app.ui.background import Background


class LibraryBridge(QObject):
    """The list of models, kept up to date."""

    changed = Signal()
    """`models` is new."""
    imported = Signal(InstalledModel)
    refused = Signal(str)
    """A file was not imported, or the list could not be read: the sentence says why."""

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        """Read the list."""
        super().__init__(parent)
        self._background = Background("library", self)
        self._library = Library(folder)
        self.models: list[InstalledModel] = []
        self.is_read = False
        """`models` is known; false for a moment after the start."""
        self.refresh()

    def refresh(self) -> None:
        """Read the list again."""
        self._background.run(self._library.models, self._listed, self._refused)

    def import_file(self, path: Path) -> None:
        """Add a GGUF file where it lies."""

        def done(model: InstalledModel) -> None:
            self.refresh()
            self._background.run(lambda: None, lambda _: self.imported.emit(model))  # after the list is read

        self._background.run(lambda: self._library.import_file(path), done, self._refused)

    def add(
        self, path: Path, on_done: Callable[[InstalledModel], None], on_failed: Callable[[Exception], None]
    ) -> None:
        """Put a file that was just made or downloaded on the list."""

        def listed(found: tuple[InstalledModel, list[InstalledModel]]) -> None:
            self._listed(found[1])
            on_done(found[0])

        self._background.run(lambda: (self._library.import_file(path), self._library.models()), listed, on_failed)

    def remove(self, name: str) -> None:
        """Take a model off the list."""
        self._background.run(lambda: self._library.remove(name), lambda _: self.refresh(), self._refused)

    def close(self) -> None:
        """Wait for the thread."""
        self._background.close()

    def _listed(self, models: list[InstalledModel]) -> None:
        self.models, self.is_read = models, True
        self.changed.emit()

    def _refused(self, error: Exception) -> None:
        self.refused.emit(str(error))
