"""The engine for the window: nothing here waits, and every answer comes on the window's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop_app.engine import protocol
from desktop_app.engine.client import Engine, EngineExit, Job
from desktop_app.ui.background import Background


class Call:
    """A request to the engine under way."""

    def __init__(self, background: Background) -> None:
        """Made by `EngineBridge.submit`."""
        self._background = background
        self._job: Job | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the engine to stop it; it ends as usual."""
        self._background.run(self._cancel)

    def start(self, job: Job) -> None:
        """Take the job (on the engine's thread)."""
        self._job = job

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()


class EngineBridge(QObject):
    """Sends requests from a thread of its own, because starting a process takes longer than a frame."""

    exited = Signal(EngineExit)

    def __init__(self, parent: QObject | None = None) -> None:
        """The process starts with the first request."""
        super().__init__(parent)
        self._background = Background("engine-requests", self)
        self._engine = Engine(on_exit=self.exited.emit)

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._engine.pid

    def submit(
        self,
        request: protocol.Request,
        on_event: Callable[[protocol.Event], None],
        on_done: Callable[[dict[str, Any]], None],
        on_failed: Callable[[Exception], None],
    ) -> Call:
        """Send a request; exactly one of `on_done` and `on_failed` is called, after all events."""
        call = Call(self._background)

        def ended(future: Future[dict[str, Any]]) -> None:
            error = future.exception()
            if isinstance(error, Exception):
                self._background.post(lambda: on_failed(error))
            else:
                self._background.post(lambda: on_done(future.result()))

        def pass_on(event: protocol.Event) -> None:
            if event.kind in ("text", "progress"):
                self._background.post(lambda: on_event(event))

        def send() -> None:
            job = self._engine.submit(request, pass_on)
            call.start(job)
            job.future.add_done_callback(ended)

        self._background.run(send, on_error=on_failed)
        return call

    def close(self) -> None:
        """End the engine process."""
        self._background.close()
        self._engine.close()
