"""Documents for the window: their text, read by a process of its own while the window goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from desktop_app.ui.bridges.background import Background

if TYPE_CHECKING:
    from desktop_app.documents.document import Document
    from desktop_app.documents.extraction_process import Extractor


class DocumentsBridge(QObject):
    """Reads documents one after the other."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Begin without a process; the first document starts it."""
        super().__init__(parent)
        self._extractor: Extractor | None = None
        self._stop = threading.Event()
        self._background = Background("documents", self)

    def extract(self, path: Path, on_done: Callable[[Document], None], on_failed: Callable[[Exception], None]) -> None:
        """Read a file's text; one of the two is called later."""
        self._background.run(lambda: self._running().extract(path, self._stop.is_set), on_done, on_failed)

    def close(self) -> None:
        """End the process, whatever it reads."""
        self._stop.set()
        self._background.close()
        if self._extractor is not None:
            self._extractor.close()

    def _running(self) -> Extractor:
        """On the thread."""
        from desktop_app.documents.extraction_process import Extractor

        self._extractor = self._extractor or Extractor()
        return self._extractor
