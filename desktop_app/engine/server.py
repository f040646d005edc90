"""The engine process: reads requests from stdin, answers on stdout, and dies with its parent.

One thread reads requests, so that a cancellation is seen at once; the main thread works them off in their order.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from desktop_app import reports
from desktop_app.engine import protocol
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.event_pipe import EventPipe
from desktop_app.engine.loaded import Loaded
from desktop_app.engine.measurements import Measurements
from desktop_app.engine.parts.loading import load_base, load_parts
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.process_facts import compute_facts, process_stats
from desktop_app.engine.protocol import Done, Event, Failed, Ready
from desktop_app.engine.replying import Replying
from desktop_app.engine.results import (
    AnyResult,
    ModelInfo,
    ProcessStats,
    RenderedPrompt,
    Reply,
    RestoredState,
    SavedState,
    TokenIds,
)
from desktop_app.engine.runner import OutOfMemory
from desktop_app.engine.worker_variable import VARIABLE
from desktop_app.paths import log_file
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import private_stdout
from desktop_app.system.devices import ComputeFacts, EnginePart
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.engine.scheduler import Running, Scheduler

_BESIDE_REPLIES = (protocol.Prompt, protocol.Tokenize, protocol.Stats, protocol.Devices, protocol.Malformed)
"""Answered between the steps of replies."""


def main(link: int) -> int:
    """Run until stdin closes; `link` is for `end_with_parent`."""
    end_with_parent(link, grace=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal reaches every process; the parent decides
    prepare_environment()
    events = private_stdout()
    load_base()
    reports.listen(lambda error: print(f"zhiyin: {error}", file=sys.stderr))  # the log
    store = part_store()
    parts = load_parts(store)
    if workers := os.environ.get(VARIABLE):
        from desktop_app.engine.rpc import add_workers  # imports sockets, which nothing else needs here

        add_workers(store, workers.split(","))
    engine = EngineProcess(sys.stdin.buffer, events, parts)
    threading.Thread(target=engine.read_requests, name="requests", daemon=True).start()
    engine.work()
    return 0


class EngineProcess:
    """The state of the process: at most one model, requests in a queue."""

    def __init__(self, requests: BinaryIO, events: BinaryIO, parts: Sequence[EnginePart] = ()) -> None:
        """Take the two ends of the pipe, and what became of the engine parts."""
        self._parts = tuple(parts)
        self._requests = requests
        self._events = EventPipe(events)
        self._lock = threading.Lock()
        self._settled = threading.Lock()
        """Held while an answer and what is written after it belong together: the process does not end in between."""
        self._afterwards: Callable[[], None] | None = None
        self._queue: queue.SimpleQueue[tuple[int, protocol.AnyRequest | protocol.Malformed]] = queue.SimpleQueue()
        self._waiting: list[tuple[int, protocol.AnyRequest | protocol.Malformed]] = []
        self._computing: frozenset[int] = frozenset()
        """The requests that are being computed at this moment."""
        self._cancelled: set[int] = set()
        self._loaded = Loaded()
        self._replying = Replying(self._loaded, self._events, self._write_later)
        self._handlers: dict[type[Any], Callable[[int, Any], AnyResult | None]] = {
            protocol.Load: self._load,
            protocol.SetAdapters: self._set_adapters,
            protocol.Unload: self._unload,
            protocol.Tokenize: self._tokenize,
            protocol.Prompt: self._prompt,
            protocol.SaveState: self._save_state,
            protocol.LoadState: self._load_state,
            protocol.Stats: self._stats,
            protocol.Devices: self._devices,
            protocol.Malformed: self._malformed,
            **Measurements(self._loaded, self._events, self._cancelled).handlers,
        }

    def read_requests(self) -> None:
        """Put requests in the queue; a closed stdin means that the parent is gone."""
        for line in self._requests:
            try:
                number, request = protocol.decode_request(line)
            except protocol.Malformed as error:
                self._queue.put((error.request, error))
                continue
            if isinstance(request, protocol.Cancel):
                self._cancel(number, request)
            else:
                self._queue.put((number, request))
        with self._settled:
            os._exit(0)

    def work(self) -> None:
        """Answer requests for ever: replies together, as many as the model has sequences, everything else one by one."""
        self._events.send(0, Ready(os.getpid()))
        while True:
            self._take_requests()
            self._begin_waiting()
            if self._loaded.scheduler is not None:
                self._step(self._loaded.scheduler)

    def _take_requests(self) -> None:
        """Take what came; wait for something where there is nothing to do."""
        idle = not self._waiting and not self._running
        while idle or not self._queue.empty():
            self._waiting.append(self._queue.get())
            idle = False

    def _begin_waiting(self) -> None:
        """Begin what can begin: what changes or asks the whole model waits for the replies before it, and others behind it."""
        waiting, self._waiting = self._waiting, []
        for place, (number, request) in enumerate(waiting):
            is_reply = isinstance(request, protocol.Generate | protocol.Complete)
            if is_reply and number not in self._cancelled:
                if self._loaded.scheduler is not None and not self._loaded.scheduler.has_room:
                    self._waiting.append((number, request))
                    continue
            elif not is_reply and not isinstance(request, _BESIDE_REPLIES) and (self._running or self._waiting):
                self._waiting += waiting[place:]
                return
            self._begin(number, request)

    def _begin(self, number: int, request: protocol.AnyRequest | protocol.Malformed) -> None:
        with self._lock:
            self._computing = frozenset({number})
        answer = self._answer(number, request)
        if answer is not None:
            self._end(number, answer)

    def _step(self, scheduler: Scheduler) -> None:
        """Let the replies go on by a step."""
        with self._lock:
            self._computing = scheduler.running
            cancelled = set(self._cancelled & self._computing)
            if self._loaded.runner is not None:
                self._loaded.runner.interrupt(False)
        for run in scheduler.step(cancelled):
            self._end_reply(run)

    def _end_reply(self, run: Running) -> None:
        ended = run.ended
        try:
            self._end(run.number, Done(run.on_end(ended)) if isinstance(ended, Reply) else self._failure(ended))
        except Exception as error:
            self._end(run.number, self._failure(error))

    def _end(self, number: int, answer: Event) -> None:
        with self._settled:
            self._events.send(number, answer)
            self._write_afterwards()
        with self._lock:
            self._computing = frozenset()
            self._cancelled.discard(number)
            if self._loaded.runner is not None:
                self._loaded.runner.interrupt(False)

    @property
    def _running(self) -> frozenset[int]:
        return frozenset() if self._loaded.scheduler is None else self._loaded.scheduler.running

    def _answer(self, number: int, request: protocol.AnyRequest | protocol.Malformed) -> Event | None:
        """Return the end of a request; None: a reply that has begun."""
        try:
            if isinstance(request, protocol.Generate | protocol.Complete):
                return self._begin_reply(number, request)
            return Done(self._handlers[type(request)](number, request))
        except Exception as error:
            return self._failure(error)

    def _begin_reply(self, number: int, request: protocol.Generate | protocol.Complete) -> Event | None:
        """Let a reply begin; return its end where it was cancelled before."""
        if number in self._cancelled:
            return Done(Reply("", "cancelled", 0, 0, 0, 0.0, 0.0))
        run = self._replying.prepared(number, request)
        for ended in cast("Scheduler", self._loaded.scheduler).begin(run):
            self._end_reply(ended)
        return None

    def _write_later(self, write: Callable[[], None]) -> None:
        """Keep what is to be written once the answer is out."""
        self._afterwards = write

    def _failure(self, error: Exception | None) -> Failed:
        if isinstance(error, ZhiyinError):
            return Failed(error.data())
        if isinstance(error, MemoryError):
            full = OutOfMemory("The memory ran out; choose a smaller model or a smaller context.")
            return Failed(full.data())
        if error is not None:
            sys.excepthook(type(error), error, error.__traceback__)  # into the log
        mistake = ZhiyinError(
            "The engine made a mistake of its own; try again, and if it happens again report what {path} says of it. "
            "Nothing of the chat is lost.",
            code="internal",
            path=log_file("engine"),
        )
        return Failed(mistake.data())

    def _write_afterwards(self) -> None:
        write, self._afterwards = self._afterwards, None
        if write is not None:
            try:
                write()
            except Exception as error:  # the answer is out: what is written here only saves time later
                sys.excepthook(type(error), error, error.__traceback__)

    def _cancel(self, number: int, request: protocol.Cancel) -> None:
        with self._lock:
            self._cancelled.add(request.target)
            if self._computing == {request.target} and self._loaded.runner is not None:
                self._loaded.runner.interrupt(
                    True
                )  # of several replies none is torn from the others: their steps are short
        self._events.send(number, Done())

    def _load(self, number: int, request: protocol.Load) -> ModelInfo:
        return self._loaded.load(request, self._events.progress(number, "load"))

    def _set_adapters(self, number: int, request: protocol.SetAdapters) -> None:
        self._loaded.set_adapters(request.adapters)

    def _unload(self, number: int, request: protocol.Unload) -> None:
        self._loaded.unload()

    def _malformed(self, number: int, request: protocol.Malformed) -> None:
        raise request

    def _tokenize(self, number: int, request: protocol.Tokenize) -> TokenIds:
        runner = self._loaded.any()
        special = request.special and not runner.info.plain_text
        ids = runner.tokenize(request.text, add_special=request.add_special, special=special)
        return TokenIds([*ids, *runner.vocabulary.closing] if request.add_special else ids)

    def _prompt(self, number: int, request: protocol.Prompt) -> RenderedPrompt:
        prompting = self._loaded.prompts()
        return RenderedPrompt(prompting.render(request), prompting.tokens(prompting.render_marked(request)))

    def _save_state(self, number: int, request: protocol.SaveState) -> SavedState:
        return SavedState(self._loaded.language().save_state(request.path))

    def _load_state(self, number: int, request: protocol.LoadState) -> RestoredState:
        return RestoredState(self._loaded.language().load_state(request.path))

    def _stats(self, number: int, request: protocol.Stats) -> ProcessStats:
        runner = self._loaded.runner
        return process_stats(0 if runner is None else runner.largest_batch)

    def _devices(self, number: int, request: protocol.Devices) -> ComputeFacts:
        return compute_facts(self._parts)
