"""The application's side of the engine: starts the process, sends requests, notices its death."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, Protocol, TypeVar, cast

from msgspec.structs import replace

from desktop_app.engine import protocol
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.protocol import Done, Event, Failed, Progress, Text, Update
from desktop_app.engine.worker_variable import VARIABLE
from desktop_app.engine.workers import ask_workers
from desktop_app.processes.logs import open_log
from desktop_app.processes.start import start
from desktop_app.system.link import Link
from models.errors import ZhiyinError, error_from_data

R = TypeVar("R")
UpdateListener = Callable[[Update], None]

_ILLEGAL_INSTRUCTION = 0xC000001D if os.name == "nt" else -signal.SIGILL
"""The exit code: on Windows STATUS_ILLEGAL_INSTRUCTION."""
_UNREADABLE_PAGE = 0xC0000006 if os.name == "nt" else -signal.SIGBUS
"""The exit code, when a mapped file was shortened or its disk failed: on Windows STATUS_IN_PAGE_ERROR."""


_ABORTED = (3, 0xC0000409) if os.name == "nt" else (-signal.SIGABRT,)
"""The exit codes where ggml ends the process, as it does when a worker does not answer."""


class EngineFailed(ZhiyinError):
    """The engine refused a request; it is alive and takes the next one. The code is that of the error there."""


class EngineDied(ZhiyinError):
    """The engine process ended in the middle of a request."""

    default_code = "engine-died"


class EngineKilled(EngineDied):
    """The system or somebody else ended the process: no fault of the model."""


@dataclass(frozen=True)
class EngineExit:
    """An end of the engine process that nobody asked for."""

    error: EngineDied
    """What happened and what to do."""
    code: int
    """The exit code; negative: the signal."""


class Answers(Protocol):
    """The interface that takes requests to a loaded model: this computer's engine, or a remote server."""

    def submit(self, request: protocol.Request[R], on_update: UpdateListener | None = None) -> Job[R]:
        """Send a request; returns at once."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has for the loaded model; waits for the answer."""
        ...


class Job(Generic[R]):
    """A request under way."""

    def __init__(self, engine: Answers, number: int, on_update: UpdateListener | None) -> None:
        """Made by `submit`."""
        self.id = number
        self.future: Future[R] = Future()
        self.on_update = on_update
        self.failure: Exception | None = None
        """What the listener raised; the job ends with it."""
        self._engine = engine

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result; raises `EngineFailed` or `EngineDied`."""
        return self.future.result(timeout)

    def cancel(self) -> None:
        """Ask the engine to stop this request; it ends as usual, within 100 ms."""
        if not self.future.done():
            with contextlib.suppress(EngineDied):
                self._engine.submit(protocol.Cancel(self.id))

    def tell(self, update: Update) -> None:
        """Call the listener; its fault (a closed terminal, say) must not stop the thread that hears the engine."""
        if self.on_update is None:
            return
        try:
            self.on_update(update)
        except Exception as error:
            self.on_update, self.failure = None, error
            self.cancel()


class Engine:
    """One engine process, started when first needed and again after it died.

    After a restart the model that was loaded last is loaded again before the next request. Listeners and `on_exit` are
    called on the reader thread.
    """

    def __init__(self, on_exit: Callable[[EngineExit], None] | None = None, workers: Sequence[str] = ()) -> None:
        """Start nothing yet.

        Args:
            on_exit: hears of every end of the process that was not asked for.
            workers: computers whose devices are used too (`engine.workers.read_worker`).
        """
        self._on_exit = on_exit
        self._workers = tuple(workers)
        self.links: Mapping[str, Link] = {}
        """The ways to the workers' devices, by ggml's names of these."""
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job[Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._loaded: protocol.Load | None = None
        self._path: Path | None = None
        """Of the model that was to be loaded last."""
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None else None

    def submit(self, request: protocol.Request[R], on_update: UpdateListener | None = None) -> Job[R]:
        """Send a request; returns at once.

        Raises:
            OSError: the system refuses to start the process.
            WorkerFailed: a worker cannot be used.
        """
        with self._lock:
            if self._process is None:
                if isinstance(request, protocol.Cancel):
                    raise EngineDied("The engine is not running.")
                self._start()
                if self._loaded is not None and not isinstance(request, protocol.Load):
                    self._send(self._loaded, None)
            return self._send(request, on_update)

    def use_workers(self, workers: Sequence[str]) -> None:
        """Use these workers, and no others, from the next start of the process on."""
        with self._lock:
            self._workers, self.links = tuple(workers), {}

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has for the loaded model; waits for the answer."""
        return len(self.submit(protocol.Tokenize(text, add_special=False, special=False)).result().ids)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._closing = True
            process, reader = self._process, self._reader
        if process is None:
            return
        with contextlib.suppress(OSError):
            cast(BinaryIO, process.stdin).close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None and reader is not threading.current_thread():
            reader.join()

    def leave(self) -> None:
        """Ask the process to end, without waiting: it finishes writing what it remembers of a chat, and is gone.

        Where it does not end, the system ends it some seconds after this process (`processes.lifetime`).
        """
        with self._lock:
            self._closing = True
            if self._process is not None:
                with contextlib.suppress(OSError):
                    cast(BinaryIO, self._process.stdin).close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, request: protocol.Request[R], on_update: UpdateListener | None) -> Job[R]:
        job = Job[R](self, next(self._numbers), on_update)
        line = protocol.encode_request(job.id, request)  # first: what cannot be written is no job
        self._jobs[job.id] = job
        if isinstance(request, protocol.Load):
            self._loaded, self._path = None, request.path
            job.future.add_done_callback(lambda future: self._remember(request, future))
        elif isinstance(request, protocol.SetAdapters):
            job.future.add_done_callback(lambda future: self._remember_adapters(request, future))
        elif isinstance(request, protocol.Unload):
            self._loaded = None
        pipe = cast(BinaryIO, cast("subprocess.Popen[bytes]", self._process).stdin)
        with contextlib.suppress(OSError):  # a dead process is noticed, and the job failed, by the reader
            pipe.write(line)
            pipe.flush()
        return job

    def _remember(self, request: protocol.Load, future: Future[Any]) -> None:
        if future.exception() is None:
            self._loaded = request

    def _remember_adapters(self, request: protocol.SetAdapters, future: Future[Any]) -> None:
        if future.exception() is None and self._loaded is not None:
            self._loaded = replace(self._loaded, adapters=request.adapters)

    def _start(self) -> None:
        self._closing = False
        environment = {}
        if self._workers:
            part_store().rpc()  # says what is missing
            lent = ask_workers(self._workers)
            links = (one.link for one in lent for _ in range(one.devices))
            self.links = {f"RPC{number}": link for number, link in enumerate(links)}
            environment = {VARIABLE: ",".join(self._workers)}
        with open_log("engine") as log:
            self._process = start("--engine", log, environment)
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="engine", daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        try:
            for event in _events(cast(BinaryIO, process.stdout)):
                self._dispatch(*event)
            readable = True
        except protocol.Malformed:
            process.kill()
            readable = False
        code = process.wait()
        with self._lock:
            self._process = None
            jobs, self._jobs = list(self._jobs.values()), {}
            unexpected = not self._closing
        for job in jobs:
            job.future.set_exception(self._end(code, readable))
        if unexpected and self._on_exit is not None:
            self._on_exit(EngineExit(self._end(code, readable), code))

    def _end(self, code: int, readable: bool) -> EngineDied:
        if self._workers and code in _ABORTED:
            return EngineDied(
                "A worker ({workers}) broke off, and the engine with it; look whether it still runs, then ask again. Nothing "
                "of the chat is lost.",
                code="worker-lost",
                workers=", ".join(self._workers),
            )
        return _death(code, readable, self._path)

    def _dispatch(self, number: int, event: Event) -> None:
        with self._lock:
            job = self._jobs.pop(number, None) if isinstance(event, Done | Failed) else self._jobs.get(number)
        if job is None:
            return
        if isinstance(event, Progress | Text):
            job.tell(event)
        elif job.failure is not None:
            job.future.set_exception(job.failure)
        elif isinstance(event, Done):
            job.future.set_result(event.result)
        elif isinstance(event, Failed):
            job.future.set_exception(error_from_data(event.error, EngineFailed))


def _events(pipe: BinaryIO) -> Iterator[tuple[int, Event]]:
    """Yield the engine's events until it ends; raises `Malformed` where a line is none, or longer than any."""
    while line := pipe.readline(protocol.LONGEST_LINE):
        if line.endswith(b"\n"):
            yield protocol.decode_event(line)
        elif len(line) == protocol.LONGEST_LINE:
            raise protocol.Malformed(ValueError("the line is too long"))


def _death(code: int, readable: bool, model: Path | None) -> EngineDied:
    if not readable:
        return EngineDied(
            "The engine gave an answer that cannot be read, and was ended; try again, and install Zhiyin again if it happens "
            "again. Nothing of the chat is lost."
        )
    if os.name != "nt" and code == -signal.SIGKILL:
        return EngineKilled(
            "The engine was ended by the system, most likely because memory ran out; choose a smaller context or a smaller "
            "model. Nothing of the chat is lost."
        )
    if code == _ILLEGAL_INSTRUCTION:
        return EngineDied(
            "The engine came to an instruction that this computer's processor does not have; use a copy of Zhiyin that was "
            "built for every processor, or build it on this computer. Nothing of the chat is lost."
        )
    if code == _UNREADABLE_PAGE and model:
        return EngineDied(
            "The engine could not read on in {path}: the file was changed or shortened, or its disk failed; check the file, then "
            "load it again. Nothing of the chat is lost.",
            path=model,
        )
    if code < 0:
        return EngineDied(
            "The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat is "
            "lost.",
            signal=signal.Signals(-code).name,
        )
    return EngineDied(
        "The engine ended by itself (code {status}); try again, and look at its log if it happens again. Nothing of the chat "
        "is lost.",
        status=code,
    )
