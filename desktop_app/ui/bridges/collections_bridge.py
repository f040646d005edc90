"""Document collections for the window: each request runs in a process of its own, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop_app.documents import service
from desktop_app.documents.service import By, CollectionState, Progress, ShownPassage
from desktop_app.processes.worker import in_process
from desktop_app.ui.bridges.background import Background


class CollectionsBridge(QObject):
    """The collections as they are, and what may be done with them."""

    changed = Signal()
    progressed = Signal(Progress)
    failed = Signal(Exception)

    def __init__(self, parent: QObject | None = None) -> None:
        """Begin without knowing any; `refresh` finds them."""
        super().__init__(parent)
        self.collections: list[CollectionState] = []
        self.busy = False
        self._stop = threading.Event()
        self._background = Background("collections", self)

    def refresh(self) -> None:
        """Find out what there is."""
        self._run(service.overview)

    def update(self, name: str, sources: tuple[Path, ...] = ()) -> None:
        """Add files and folders to a collection, and index what is new or changed."""
        self._run(partial(service.update, name, sources))

    def remove(self, name: str) -> None:
        """Remove a collection; the files stay."""
        self._run(partial(service.remove, name))

    def stop(self) -> None:
        """Stop indexing, which goes on from there another time."""
        self._stop.set()

    def search(
        self,
        name: str,
        question: str,
        by: By,
        count: int,
        on_done: Callable[[list[ShownPassage]], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Find the passages for a question."""
        work: Any = partial(service.search, name, question, by, count)
        self._background.run(lambda: in_process(work, lambda event: None, threading.Event()), on_done, on_failed)

    def close(self) -> None:
        """Stop what is under way and wait for it."""
        self._stop.set()
        self._background.close()

    def _run(self, work: Any) -> None:
        self._stop = stop = threading.Event()
        self.busy = True
        self.changed.emit()
        tell = lambda event: self._background.post(partial(self.progressed.emit, event))  # noqa: E731
        self._background.run(lambda: in_process(work, tell, stop), self._done, self._failed)

    def _done(self, collections: list[CollectionState]) -> None:
        self.collections, self.busy = collections, False
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self.busy = False
        self.changed.emit()
        self.failed.emit(error)
