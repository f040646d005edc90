"""The engine for the window: nothing here waits, and every answer comes on the window's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.bridges.background import Background
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.engine import protocol
    from desktop_app.engine.client import Answers, Engine, Job
    from desktop_app.planning.load_plan import LoadPlanner, PlannedLoad
    from desktop_app.remote.engine import RemoteEngine

T = TypeVar("T")
R = TypeVar("R")


class Call:
    """A request to the engine under way."""

    def __init__(self, background: Background) -> None:
        """Made by `EngineBridge.submit`."""
        self._background = background
        self._job: Job[Any] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the engine to stop it; it ends as usual."""
        self._background.run(self._cancel)

    def start(self, job: Job[Any]) -> None:
        """Take the job (on the engine's thread)."""
        self._job = job

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()


class EngineBridge(QObject):
    """Sends requests from a thread of its own, because starting a process takes longer than a frame."""

    exited = Signal(object)
    """The process ended, and nobody asked for it: an `EngineExit`."""

    def __init__(self, parent: QObject | None = None) -> None:
        """The process starts with the first request."""
        super().__init__(parent)
        self._background = Background("engine-requests", self)
        self._waiting = Background("engine-answers", self)
        self._engine: Engine | None = None
        self._making = threading.Lock()
        self._planner: LoadPlanner | None = None
        self._remote: RemoteEngine | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return None if self._engine is None else self._engine.pid

    @property
    def engine(self) -> Answers:
        """The engine of the model in use, for threads that may wait."""
        return self._remote or self.local

    @property
    def local(self) -> Engine:
        """The engine of this computer, for threads that may wait: its protocol is imported when it is first asked for."""
        from desktop_app.engine.client import Engine

        with self._making:
            if self._engine is None:
                self._engine = Engine(on_exit=self.exited.emit)
            return self._engine

    def use(self, remote: RemoteEngine | None) -> None:
        """Let a model on another computer answer from now on; None: the one that is loaded here."""
        if self._remote is not None:
            self._remote.close()
        self._remote = remote

    def submit(
        self,
        request: protocol.Request[R],
        on_update: Callable[[protocol.Update], None],
        on_done: Callable[[R], None],
        on_failed: Callable[[Exception], None],
    ) -> Call:
        """Send a request; exactly one of `on_done` and `on_failed` is called, after all updates."""
        call = Call(self._background)
        remote = self._remote if _is_of_the_model(request) else None

        def ended(future: Future[R]) -> None:
            error = future.exception()
            if isinstance(error, Exception):
                self._background.post(lambda: on_failed(error))
            else:
                self._background.post(lambda: on_done(future.result()))

        def pass_on(update: protocol.Update) -> None:
            self._background.post(lambda: on_update(update))

        def send() -> None:
            job = (remote or self.local).submit(request, pass_on)
            call.start(job)
            job.future.add_done_callback(ended)

        self._background.run(send, on_error=on_failed)
        return call

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has for the loaded model; this waits, and is for other threads than the window's."""
        return self.engine.count_tokens(text)

    def plan(
        self, work: Callable[[LoadPlanner], T], on_done: Callable[[T], None], on_failed: Callable[[Exception], None]
    ) -> None:
        """Let the planner work: it waits for the engine's answers, which come after a reply that is under way."""

        def wait() -> T:
            if self._closed:
                raise ZhiyinError("The window is closed.")
            from desktop_app.planning.load_plan import LoadPlanner

            if self._planner is None:
                self._planner = LoadPlanner(self.local)
            return work(self._planner)

        self._waiting.run(wait, on_done, on_failed)

    def use_workers(self, workers: Sequence[str], on_done: Callable[[], None]) -> None:
        """Use other workers than before: the process is ended, and the next request starts one that does."""

        def change() -> None:
            self.local.use_workers(workers)
            self.local.close()

        self._background.run(change, lambda _: on_done())

    def restart(self, on_done: Callable[[], None]) -> None:
        """End the process after what it was asked for so far; the next request starts a new one."""
        self._background.run(self._end_process, lambda _: on_done())

    def record(self, planned: PlannedLoad) -> None:
        """Remember what the loaded model takes, for the next plans."""

        def keep(_: LoadPlanner) -> None:
            from desktop_app.planning.load_plan import record_load

            record_load(self.local, planned)

        self.plan(keep, lambda _: None, lambda _: None)

    def close(self) -> None:
        """Let the engine process end: it may be writing what it remembers of a chat, for which no window has to wait."""
        self._closed = True
        self.use(None)
        self._background.close()
        self._let_go()
        self._waiting.close()
        self._let_go()  # a plan under way may have started it again

    def _let_go(self) -> None:
        if self._engine is not None:
            self._engine.leave()

    def _end_process(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _is_of_the_model(request: protocol.Request[Any]) -> bool:
    """Tell whether a request goes to a model on another computer while one is used."""
    from desktop_app.engine.protocol import Complete, Generate

    return isinstance(request, Generate | Complete)
