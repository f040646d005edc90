"""The installed models for the window: headers are read and files are imported on a thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import Entry, InstalledModel, Listing
from desktop_app.ui.bridges.background import Background

if TYPE_CHECKING:
    from desktop_app.library.installed import Library
    from desktop_app.library.other_programs import FoundModel
    from desktop_app.library.removal import Removal


class LibraryBridge(QObject):
    """The list of models, kept up to date."""

    changed = Signal()
    """`listing` is new."""
    imported = Signal(InstalledModel)
    refused = Signal(Exception)
    """A file was not imported, or the list could not be read: the sentence says why."""

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        """`refresh` reads the list for the first time."""
        super().__init__(parent)
        self._background = Background("library", self)
        self._folder = folder
        self.listing = self._whole = Listing([], [])
        self.measuring: list[InstalledModel] = []
        """Models that make vectors or rank passages, for documents."""
        self.is_read = False
        """`listing` is known; false for a moment after the start."""

    @cached_property
    def _library(self) -> Library:
        """On the thread."""
        from desktop_app.library.installed import Library

        return Library(self._folder)

    @property
    def models(self) -> list[InstalledModel]:
        """The usable models of this computer."""
        return self.listing.models

    @property
    def everywhere(self) -> list[InstalledModel]:
        """The usable models, remote ones included."""
        return [*self.listing.models, *self.listing.remote]

    def use_folder(self, folder: Path) -> None:
        """Look after another folder; `changed` tells when it was read."""
        self._folder = folder
        self._background.run(lambda: self.__dict__.pop("_library", None))
        self.refresh()

    def refresh(self) -> None:
        """Read the list again."""
        self._background.run(self._read, self._listed, self._refused)

    def look_again(self) -> None:
        """Read the list again, which a command in a terminal may have changed; `changed` comes only where it is another one."""
        self._background.run(self._read, lambda listing: self._listed(listing) if listing != self._whole else None)

    def import_file(self, path: Path) -> None:
        """Add a GGUF file where it lies."""

        def done(model: InstalledModel) -> None:
            self.refresh()
            self._background.run(lambda: None, lambda _: self.imported.emit(model))  # after the list is read

        self._background.run(lambda: self._library.import_file(path), done, self._refused)

    def find_others(self, on_done: Callable[[list[FoundModel]], None]) -> None:
        """Look for the models of other programs that are not on the list yet."""

        def find() -> list[FoundModel]:
            from desktop_app.library.other_programs import found_models

            known = {model.path for model in self._library.models()}
            return [model for model in found_models() if model.path not in known]

        self._background.run(find, on_done, self._refused)

    def add(
        self, path: Path, on_done: Callable[[InstalledModel], None], on_failed: Callable[[Exception], None]
    ) -> None:
        """Put a file that was just made or downloaded on the list."""

        def listed(added: tuple[InstalledModel, Listing]) -> None:
            self._listed(added[1])
            on_done(added[0])

        self._background.run(lambda: (self._library.import_file(path), self._read()), listed, on_failed)

    def find_removal(
        self, model: Entry, on_done: Callable[[Removal], None], on_failed: Callable[[Exception], None]
    ) -> None:
        """Find out what it would mean to remove a model."""
        self._background.run(lambda: self._library.removal(model), on_done, on_failed)

    def remove(
        self,
        removal: Removal,
        on_done: Callable[[], None],
        on_failed: Callable[[Exception], None],
        *,
        with_download: bool,
        for_good: bool,
    ) -> None:
        """Remove a model as `Library.remove` does; the list is new when this is done."""

        def remove() -> Listing:
            self._library.remove(removal, with_download=with_download, for_good=for_good)
            return self._read()

        def listed(listing: Listing) -> None:
            self._listed(listing)
            on_done()

        self._background.run(remove, listed, on_failed)

    def close(self) -> None:
        """Wait for the thread."""
        self._background.close()

    def _read(self) -> Listing:
        from desktop_app.remote.addresses import Remotes

        return replace(self._library.listing(), remote=Remotes().models())

    def _listed(self, listing: Listing) -> None:
        self._whole = listing
        # Nobody can chat with a model that makes vectors.
        self.measuring = [model for model in listing.models if model.measures]
        models = [model for model in listing.models if not model.measures]
        self.listing, self.is_read = Listing(models, listing.broken, listing.remote), True
        self.changed.emit()

    def _refused(self, error: Exception) -> None:
        self.refused.emit(error)
