"""Document collections for the window: each request runs in a process of its own, one after the other, searches beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_app.paths import documents_file
from desktop_app.ui.bridges.background import Background

if TYPE_CHECKING:
    from desktop_app.documents.service import By, CollectionState, ShownPassage

_SOON_MS, _PAUSE_MS = 2000, 30_000
"""Between the last work and a look for changes, and between two looks."""
_RATIO = 50
"""Looking takes at most one part in so many of the time."""


class CollectionsBridge(QObject):
    """The collections as they are, and what may be done with them."""

    changed = Signal()
    progressed = Signal(object)
    """A `Progress`."""
    failed = Signal(Exception)

    def __init__(self, parent: QObject | None = None) -> None:
        """Begin without knowing any; `refresh` finds them."""
        super().__init__(parent)
        self.collections: list[CollectionState] = []
        self.busy = False
        self._stop, self._end = threading.Event(), threading.Event()
        self._background = Background("collections", self)
        self._watching = Background("collections-watch", self)
        self._searching = Background("collections-search", self)
        """A search does not wait until thousands of pages are indexed."""
        self._left: set[str] = set()
        """Collections that were paused or could not be indexed: they wait until the user asks."""
        self._next: list[str] = []
        """Collections that are indexed after this one."""
        self._name = ""
        """Of the collection that is indexed."""
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.look)

    def refresh(self) -> None:
        """Find out what there is."""
        from desktop_app.documents import service

        self._run(service.overview)

    def update(self, name: str, sources: tuple[Path, ...] = ()) -> None:
        """Add files and folders to a collection, and index what is new or changed."""
        self._left.discard(name)
        self._index(name, sources)

    def update_all(self) -> None:
        """Index every collection, as after another model was chosen to make vectors; one that is paused waits."""
        self._next = [one.name for one in self.collections if one.name not in self._left]
        if self._next and not self.busy:
            self._index(self._next.pop(0))

    def look(self) -> None:
        """Look for collections whose files changed, and index the first one; the others follow."""
        from desktop_app.documents.watching import outdated

        self._timer.stop()
        if self.busy:
            self._timer.start(_PAUSE_MS)
            return
        begun = time.monotonic()
        left = frozenset(self._left)

        def deliver(names: list[str]) -> None:
            if names and not self.busy:
                self._index(names[0])
            self._timer.start(int(max(_PAUSE_MS, 1000 * _RATIO * (time.monotonic() - begun))))

        self._watching.run(lambda: outdated(documents_file(), left), deliver, lambda error: None)

    def _index(self, name: str, sources: tuple[Path, ...] = ()) -> None:
        from desktop_app.documents import service

        self._name = name
        self._run(partial(service.update, name, sources))

    def remove(self, name: str) -> None:
        """Remove a collection; the files stay."""
        from desktop_app.documents import service

        self._run(partial(service.remove, name))

    def stop(self) -> None:
        """Stop indexing, which goes on from there when it is asked for."""
        self._left.add(self._name)
        self._stop.set()

    def search(
        self,
        name: str,
        question: str,
        by: By,
        count: int,
        reranks: bool,
        on_done: Callable[[list[ShownPassage]], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Find the passages for a question, also while a collection is indexed."""
        from desktop_app.documents import service
        from desktop_app.processes.worker import in_process

        work: Any = partial(service.search, name, question, by, count, reranks)
        self._searching.run(lambda: in_process(work, lambda event: None, self._end), on_done, on_failed)

    def close(self) -> None:
        """Stop what is under way and wait for it."""
        self._timer.stop()
        self._stop.set()
        self._end.set()
        self._watching.close()
        self._searching.close()
        self._background.close()

    def _run(self, work: Any) -> None:
        from desktop_app.processes.worker import in_process

        self._stop = stop = threading.Event()
        self.busy = True
        self.changed.emit()
        tell = lambda event: self._background.post(partial(self.progressed.emit, event))  # noqa: E731
        self._background.run(lambda: in_process(work, tell, stop), self._done, self._failed)

    def _done(self, collections: list[CollectionState]) -> None:
        self.collections, self.busy = collections, False
        self.changed.emit()
        if self._next:
            self._index(self._next.pop(0))
        if collections and not self._timer.isActive():
            self._timer.start(_SOON_MS)

    def _failed(self, error: Exception) -> None:
        self.busy = False
        self._left.add(self._name)
        self.changed.emit()
        self.failed.emit(error)
