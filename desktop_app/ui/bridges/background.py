"""Work that must not hold up the window: one thread, results delivered to the window's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

T = TypeVar("T")


class Background(QObject):
    """Runs functions one after the other on a thread of its own."""

    _finished = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        """`name` is the thread's."""
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False
        self._finished.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        function: Callable[[], Any],
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        """Run a function; `on_done` or `on_error` is called later on the window's thread."""

        def deliver(future: Future[Any]) -> None:
            if not future.cancelled():
                self._finished.emit(lambda: _deliver(future, on_done, on_error))

        self._executor.submit(function).add_done_callback(deliver)

    def post(self, function: Callable[[], None]) -> None:
        """Call a function on the window's thread, from any thread."""
        self._finished.emit(function)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in its turn and return its result, or raise what it raises; for other threads than the window's."""
        return self._executor.submit(function).result()

    def wait(self) -> None:
        """Return when all that was asked for so far is done; only for the moment when the system may end the process."""
        self._executor.submit(lambda: None).result()

    def close(self) -> None:
        """Wait for what was asked for; no result is delivered after this."""
        self._closed = True  # what is queued already comes after all
        self._executor.shutdown(wait=True)

    def _call(self, deliver: Callable[[], None]) -> None:
        if not self._closed:
            deliver()


def _deliver(
    future: Future[Any], on_done: Callable[[Any], None] | None, on_error: Callable[[Exception], None] | None
) -> None:
    error = future.exception()
    if isinstance(error, Exception):
        if on_error is None:
            raise error
        on_error(error)
    elif on_done is not None:
        on_done(future.result())
