"""Brings the index up to date with the files and folders of a collection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_app.documents.chunking import passages
from desktop_app.documents.document import Document, left_out, without_text
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.extraction_process import Extractor
from desktop_app.documents.sources import changes, status
from desktop_app.documents.store import Collection, Store
from models.errors import Cancelled, ZhiyinError
from models.system_errors import as_zhiyin_error

_AT_ONCE = 32
"""Passages whose vectors are made and stored together: as much is lost by a kill."""
_TRIES = 3
"""A file that changes while it is read is read again."""


@dataclass(frozen=True)
class IndexProgress:
    """How far indexing is."""

    files: int
    """That are done."""
    all_files: int
    passages: int
    """That have a vector."""
    all_passages: int
    path: str = ""
    """What is read now."""
    error: ZhiyinError | None = None
    """Of the file that was read last."""


Listener = Callable[[IndexProgress], None]


class Indexer:
    """Indexes collections of one store."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder | None,
        *,
        on_progress: Listener | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what is needed.

        Args:
            store: of all collections.
            embedder: makes the vectors; None: words alone are indexed.
            on_progress: hears how far it is.
            stopped: True stops the work, which goes on from there another time.
        """
        self._store = store
        self._embedder = embedder
        self._tell = on_progress or (lambda progress: None)
        self._stopped = stopped

    def update(self, name: str) -> Collection:
        """Index what is new or changed in a collection, forget what is gone, and return it.

        A file that cannot be read, or not to its end, is noted with its error and does not stop the others.

        Raises:
            Cancelled: it was stopped.
            ZhiyinError: the store or the embedding model fails.
        """
        collection = self._store.collection(name)
        if self._embedder is not None:  # first: whatever is cut off from here on is seen to lack vectors
            self._store.set_model(collection.id, self._embedder.name)
        known = {file.path: file for file in self._store.files(name)}
        gone, changed_files = changes(
            collection.sources, {path: (file.bytes, file.modified) for path, file in known.items()}
        )
        for path in gone:
            self._store.drop_file(known[path].id)
        changed = list(changed_files)
        with Extractor() as extractor:
            for done, path in enumerate(changed):
                self._check()
                self._tell(IndexProgress(done, len(changed), 0, 0, path))
                error = self._read(collection.id, path, extractor)
                if error is not None:
                    self._tell(IndexProgress(done + 1, len(changed), 0, 0, path, error))
        if self._embedder is not None:
            files = len(changed)
            embed(
                self._store,
                self._embedder,
                name,
                lambda made, everything: self._tell(IndexProgress(files, files, made, everything)),
                self._stopped,
            )
        return self._store.collection(name)

    def _read(self, collection: int, path: str, extractor: Extractor) -> ZhiyinError | None:
        before = (0, 0)
        document: Document | None = None
        error: ZhiyinError | None = None
        for _ in range(_TRIES):
            try:
                before = status(path)
                document, error = extractor.extract(Path(path), self._stopped), None
            except OSError as failure:
                document, error = None, as_zhiyin_error(failure)
            except ZhiyinError as failure:
                document, error = None, failure
            self._check()
            with suppress(OSError):
                if status(path) == before:
                    break
        if document is not None and document.scanned:
            error = without_text(Path(path))
        cut = [] if document is None or error is not None else passages(document)
        pages = 0 if document is None else document.page_count
        if document is not None and document.cut and error is None:
            error = left_out(Path(path), document)
        self._store.put(collection, path, before, cut, pages=pages, error=error)
        return error

    def _check(self) -> None:
        _check(self._stopped)


def embed(
    store: Store,
    embedder: Embedder,
    name: str,
    on_progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> None:
    """Make the vectors that a collection lacks; what is made stays when it is stopped.

    Args:
        store: of the collection.
        embedder: makes the vectors.
        name: of the collection.
        on_progress: hears how many passages have a vector, and how many there are.
        stopped: True stops the work.

    Raises:
        Cancelled: it was stopped.
    """
    collection = store.collection(name)
    store.set_model(collection.id, embedder.name)
    made, last = store.collection(name).with_vector, 0
    while waiting := store.without_vectors(collection.id, _AT_ONCE, last):
        _check(stopped)
        texts = [f"{headings}\n{text}" if headings else text for _, headings, text in waiting]
        store.put_vectors([number for number, _, _ in waiting], embedder.vectors(texts, "document"))
        made, last = made + len(waiting), waiting[-1][0]
        on_progress(made, max(made, collection.passages))


def _check(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Cancelled("Indexing was stopped; it goes on from there next time.")
