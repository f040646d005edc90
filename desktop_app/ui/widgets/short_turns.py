"""Work on the window's thread that together takes longer than a frame, done in short turns."""

from __future__ import annotations

import time
from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer

_SLICE = 0.003
"""Seconds of work in one turn of the window."""


class ShortTurns(QObject):
    """Goes on with one work until it is done, a little in each turn; another one takes its place."""

    def __init__(self, parent: QObject) -> None:
        """Nothing is to do."""
        super().__init__(parent)
        self._work: Iterator[None] = iter(())
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    def begin(self, work: Iterator[None]) -> None:
        """Begin a work in the next turn; between two of its steps the window may have its turn."""
        self._work = work
        self._timer.start()

    def _go_on(self) -> None:
        end = time.thread_time() + _SLICE
        work = self._work
        for _ in work:
            if time.thread_time() > end or self._work is not work:
                return
        if self._work is work:
            self._timer.stop()
