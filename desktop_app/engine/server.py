"""The engine process: reads requests from stdin, answers on stdout, and dies with its parent.

One thread reads requests, so that a cancellation is seen at once; the main thread works them off in their order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from msgspec.structs import replace

from converter.atomic_write import write_file
from desktop_app import reports
from desktop_app.engine import protocol
from desktop_app.engine.backends import backends, devices, prepare_environment
from desktop_app.engine.parts.loading import load_base, load_parts
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.protocol import Done, Event, Failed, Progress, Ready, Text
from desktop_app.engine.results import (
    AnyResult,
    CollectedChunks,
    Coverage,
    Divergences,
    Durations,
    LogitsShape,
    Losses,
    ModelInfo,
    ProcessStats,
    RenderedPrompt,
    Reply,
    RestoredState,
    SavedState,
    Scores,
    TokenIds,
    Vectors,
)
from desktop_app.engine.runner import OutOfMemory, Runner
from desktop_app.engine.worker_variable import VARIABLE
from desktop_app.paths import log_file
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.renderer import Renderer
from desktop_app.processes.start import private_stdout
from desktop_app.sequences import DRAFT_CONTEXT
from desktop_app.system.devices import ComputeFacts, EnginePart
from desktop_app.system.read_speed import ReadSpeed
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_errors import OTHER_PLACE, cannot_write

if TYPE_CHECKING:
    import numpy as np

    from desktop_app.engine.generation import OutputFilter
    from desktop_app.engine.llama.embedding import EmbeddingRunner
    from desktop_app.engine.llama.importance import ImportanceCollector
    from desktop_app.engine.prompting import Prompting
    from desktop_app.engine.protocol import SamplingSettings
    from desktop_app.engine.runner import RunningSequence
    from desktop_app.engine.scheduler import Running, Scheduler
    from desktop_app.engine.speculation.draft_model import DraftModel
    from desktop_app.engine.speculation.draft_pace import DraftPace
    from desktop_app.engine.speculation.drafts import Drafts
    from desktop_app.engine.speculation.pace import Pace

_PROGRESS_SECONDS = 0.05
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
        self._events = events
        self._lock = threading.Lock()
        self._settled = threading.Lock()
        """Held while an answer and what is written after it belong together: the process does not end in between."""
        self._afterwards: Callable[[], None] | None = None
        self._identity = ""
        self._queue: queue.SimpleQueue[tuple[int, protocol.AnyRequest | protocol.Malformed]] = queue.SimpleQueue()
        self._runner: Runner | EmbeddingRunner | None = None
        self._prompting: Prompting | None = None
        self._renderer = Renderer()
        self._waiting: list[tuple[int, protocol.AnyRequest | protocol.Malformed]] = []
        self._scheduler: Scheduler | None = None
        """Of a loaded language model."""
        self._pace: Pace | None = None
        """Of the same."""
        self._draft: tuple[DraftModel, DraftPace] | None = None
        """Of the same, where a small model guesses for it."""
        self._computing: frozenset[int] = frozenset()
        """The requests that are being computed at this moment."""
        self._cancelled: set[int] = set()
        self._handlers: dict[type[Any], Callable[[int, Any], AnyResult | None]] = {
            protocol.Load: self._load,
            protocol.SetAdapters: self._set_adapters,
            protocol.Unload: self._unload,
            protocol.Tokenize: self._tokenize,
            protocol.Prompt: self._prompt,
            protocol.Logits: self._logits,
            protocol.Score: self._score,
            protocol.Embed: self._embed,
            protocol.Rerank: self._rerank,
            protocol.WriteReference: self._write_reference,
            protocol.Compare: self._compare,
            protocol.CollectImportance: self._collect_importance,
            protocol.ResumeImportance: self._resume_importance,
            protocol.WriteImportance: self._write_importance,
            protocol.Measure: self._measure,
            protocol.MeasureReadSpeed: self._measure_read_speed,
            protocol.SaveState: self._save_state,
            protocol.LoadState: self._load_state,
            protocol.Stats: self._stats,
            protocol.Devices: self._devices,
            protocol.Malformed: self._malformed,
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
        self._send(0, Ready(os.getpid()))
        while True:
            self._take_requests()
            self._begin_waiting()
            if self._scheduler is not None:
                self._step(self._scheduler)

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
                if self._scheduler is not None and not self._scheduler.has_room:
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
            if self._runner is not None:
                self._runner.interrupt(False)
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
            self._send(number, answer)
            self._write_afterwards()
        with self._lock:
            self._computing = frozenset()
            self._cancelled.discard(number)
            if self._runner is not None:
                self._runner.interrupt(False)

    @property
    def _running(self) -> frozenset[int]:
        return frozenset() if self._scheduler is None else self._scheduler.running

    def _answer(self, number: int, request: protocol.AnyRequest | protocol.Malformed) -> Event | None:
        """Return the end of a request; None: a reply that has begun."""
        try:
            if isinstance(request, protocol.Generate | protocol.Complete):
                return self._begin_reply(number, request)
            return Done(self._handlers[type(request)](number, request))
        except Exception as error:
            return self._failure(error)

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
            if self._computing == {request.target} and self._runner is not None:
                self._runner.interrupt(True)  # of several replies none is torn from the others: their steps are short
        self._send(number, Done())

    def _send(self, number: int, event: Event) -> None:
        data = protocol.encode_event(number, event)
        with self._lock:
            self._events.write(data)
            self._events.flush()

    def _progress(self, number: int, phase: str) -> Callable[[float], None]:
        """Return a listener that passes on what changes, at most twenty times a second."""
        last = time.monotonic()

        def listener(part: float) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PROGRESS_SECONDS:
                last = now
                self._send(number, Progress(part, phase))

        return listener

    def _any_model(self) -> Runner | EmbeddingRunner:
        if self._runner is None:
            raise ZhiyinError("No model is loaded; choose one first.")
        return self._runner

    def _model(self) -> Runner:
        """Return the loaded language model."""
        runner = self._any_model()
        if runner.info.embedding or runner.info.reranks:
            raise ZhiyinError("{name} measures texts and writes none; choose a chat model.", name=runner.info.name)
        return cast("Runner", runner)

    def _measuring_model(self, number: int) -> EmbeddingRunner:
        """Return the loaded embedding or reranking model."""
        runner = self._any_model()
        if not (runner.info.embedding or runner.info.reranks):
            raise ZhiyinError(
                "{name} writes texts and makes no vectors; choose an embedding model.", name=runner.info.name
            )
        if number in self._cancelled:
            runner.interrupt(True)
        return cast("EmbeddingRunner", runner)

    def _prompts(self) -> Prompting:
        self._model()
        return cast("Prompting", self._prompting)

    def _load(self, number: int, request: protocol.Load) -> ModelInfo:
        from desktop_app.engine.load import load_runner
        from desktop_app.engine.prompting import Prompting
        from desktop_app.engine.scheduler import Scheduler
        from desktop_app.engine.speculation.pace import Pace
        from desktop_app.engine.state.chat_states import model_identity

        self._unload(number, protocol.Unload())
        self._renderer.start()  # while the weights are read
        loaded = load_runner(request.path, request.settings, self._progress(number, "load"))
        if loaded.info.embedding or loaded.info.reranks:
            self._runner, self._prompting, self._identity = loaded, None, ""
            return loaded.info
        runner = cast("Runner", loaded)
        if request.adapters:
            try:
                runner.set_adapters(request.adapters)
            except ZhiyinError:
                runner.close()
                raise
        if request.settings.draft is not None and runner.most_guesses:
            self._draft = self._load_draft(request.settings.draft, request.settings, runner)
        prompting = Prompting(runner, self._renderer)
        self._runner, self._prompting, self._scheduler, self._pace = runner, prompting, Scheduler(runner), Pace()
        self._identity = model_identity(request.path, request.adapters, runner.memory_kind)
        thinking, effort = prompting.thinks_by_itself(), prompting.effort_by_itself()
        return replace(runner.info, thinking=thinking, effort=effort, takes_system=prompting.takes_system())

    def _load_draft(
        self, path: Path, settings: protocol.LoadSettings, runner: Runner
    ) -> tuple[DraftModel, DraftPace] | None:
        """Load the small model; without it replies are the same, so that a damaged one is said in the log only."""
        from desktop_app.engine.load import load_runner
        from desktop_app.engine.speculation.draft_model import DraftModel
        from desktop_app.engine.speculation.draft_pace import DraftPace

        small = protocol.LoadSettings(
            context=DRAFT_CONTEXT, threads=settings.threads, gpu_layers=-1 if settings.gpu_layers else 0
        )
        try:
            loaded = load_runner(path, small, lambda part: None)
        except ZhiyinError as error:
            reports.say(error)
            return None
        info = loaded.info
        if info.embedding or info.reranks or not info.can_trim or info.vocabulary_size != runner.info.vocabulary_size:
            loaded.close()
            return None
        return DraftModel(cast("Runner", loaded)), DraftPace()

    def _malformed(self, number: int, request: protocol.Malformed) -> None:
        raise request

    def _set_adapters(self, number: int, request: protocol.SetAdapters) -> None:
        from desktop_app.engine.state.chat_states import model_identity

        runner = self._model()
        runner.set_adapters(request.adapters)
        self._identity = model_identity(runner.info.path, request.adapters, runner.memory_kind)

    def _unload(self, number: int, request: protocol.Unload) -> None:
        if self._runner is not None:
            runner, self._runner, self._scheduler = self._runner, None, None
            runner.close()
        if self._draft is not None:
            self._draft[0].close()
            self._draft = None

    def _begin_reply(self, number: int, request: protocol.Generate | protocol.Complete) -> Event | None:
        if number in self._cancelled:
            return Done(Reply("", "cancelled", 0, 0, 0, 0.0, 0.0))
        if isinstance(request, protocol.Generate):
            return self._generate(number, request)
        runner = self._model()
        prompt = runner.tokenize(request.text, add_special=True, special=not runner.info.plain_text)
        return self._reply(number, self._sequence_for(prompt), prompt, request.sampling)

    def _generate(self, number: int, request: protocol.Generate) -> Event | None:
        from desktop_app.engine.generation import OutputFilter
        from desktop_app.engine.prompting import mark_tokens, reply_opening, thinks_still
        from desktop_app.engine.state.chat_states import resume, store
        from models.chat.chat_formats import ReplyReader

        runner, prompting = self._model(), self._prompts()
        asked = request.prompt
        rendered = prompting.render_marked(asked)
        opening = reply_opening(rendered) if runner.info.reasoning else ""
        begun = request.begun
        rendered += prompting.plain(begun.removeprefix(opening))
        prompt = prompting.tokens(rendered)
        chat_format = prompting.chat_format(asked)
        sequence = self._sequence_for(prompt, shortened=request.shortened)
        file, identity = request.state, self._identity
        if file is not None:
            resume(sequence, file, identity, prompt)
        reasoning = thinks_still(begun) if begun else bool(opening)
        reader = ReplyReader(chat_format, prompting.template(asked), request.tools, reasoning=reasoning)
        marks = {} if chat_format is None else mark_tokens(runner, chat_format.marks)
        shown = OutputFilter(reader, begun or opening, marks, told=len(begun))
        settled = None if runner.info.can_trim else prompting.stable_prefix(asked, prompt)
        sampling = self._held_to_grammar(request, opening if reasoning else "")

        def with_calls(reply: Reply) -> Reply:
            if file is not None:
                self._afterwards = lambda: store(sequence, file, identity)
            calls = [call for call in reader.calls if not (call.fault and reply.reason == "cancelled")]
            return replace(reply, tool_calls=tuple(call.openai(index) for index, call in enumerate(calls)))

        return self._reply(number, sequence, prompt, sampling, shown, settled, with_calls)

    def _sequence_for(self, prompt: Sequence[int], *, shortened: bool = False) -> RunningSequence:
        from desktop_app.engine.generation import check_room

        check_room(self._model(), prompt)
        return cast("Scheduler", self._scheduler).sequence_for(prompt, shortened=shortened)

    def _held_to_grammar(self, request: protocol.Generate, opening: str) -> SamplingSettings:
        """Return how tokens are chosen: held to the schema, or to whole calls where these are JSON without a mark."""
        from desktop_app.engine.grammar import answer_grammar, call_grammar
        from models.chat.chat_formats import calls_natively

        info, prompting, asked = self._model().info, self._prompts(), request.prompt
        if request.sampling.grammar:
            return request.sampling
        if request.schema is not None:
            grammar = answer_grammar(
                request.schema, chat_format=info.chat_format, reasons=info.reasoning, reasoning=bool(opening)
            )
            return dataclasses.replace(request.sampling, grammar=grammar)
        if not request.tools or opening or calls_natively(prompting.chat_format(asked), prompting.template(asked)):
            return request.sampling
        return dataclasses.replace(request.sampling, grammar=call_grammar(request.tools))

    def _reply(
        self,
        number: int,
        sequence: RunningSequence,
        prompt: Sequence[int],
        sampling: SamplingSettings,
        shown: OutputFilter | None = None,
        settled: int | None = None,
        on_end: Callable[[Reply], Reply] | None = None,
    ) -> Event | None:
        """Let a reply begin; return its end where it has ended already."""
        from desktop_app.engine.generation import generation
        from desktop_app.engine.logprobs import Logprobs
        from desktop_app.engine.scheduler import Running

        noted = None if sampling.logprobs is None else Logprobs(sequence, sampling.logprobs)
        steps = generation(
            sequence,
            prompt,
            sampling,
            lambda text: self._send(number, Text(text, noted.take() if noted else ())),
            shown,
            settled,
            noted.note if noted else None,
            self._drafts(prompt) if sampling.guesses else None,
        )

        def whole(reply: Reply) -> Reply:
            reply = on_end(reply) if on_end is not None else reply
            return replace(reply, logprobs=noted.take()) if noted else reply

        run = Running(number, sequence, steps, self._progress(number, "prompt"), whole)
        for ended in cast("Scheduler", self._scheduler).begin(run):
            self._end_reply(ended)
        return None

    def _drafts(self, prompt: Sequence[int]) -> Drafts | None:
        """Return what guesses a reply's tokens; None where guesses cannot be taken back."""
        from desktop_app.engine.speculation.drafts import Drafts

        most = self._model().most_guesses
        scheduler = cast("Scheduler", self._scheduler)
        return Drafts(cast("Pace", self._pace), prompt, most, lambda: scheduler.is_one, self._draft) if most else None

    def _tokenize(self, number: int, request: protocol.Tokenize) -> TokenIds:
        runner = self._any_model()
        special = request.special and not runner.info.plain_text
        ids = runner.tokenize(request.text, add_special=request.add_special, special=special)
        return TokenIds([*ids, *runner.vocabulary.closing] if request.add_special else ids)

    def _prompt(self, number: int, request: protocol.Prompt) -> RenderedPrompt:
        prompting = self._prompts()
        return RenderedPrompt(prompting.render(request), prompting.tokens(prompting.render_marked(request)))

    def _logits(self, number: int, request: protocol.Logits) -> LogitsShape:
        logits = self._model_for(request.ids).all_logits(request.ids)
        _write_array(request.out, logits)
        return LogitsShape((logits.shape[0], logits.shape[1]))

    def _score(self, number: int, request: protocol.Score) -> Losses:
        from desktop_app.engine.measuring import losses

        return Losses(losses(self._model_for(request.ids), request.ids, request.start))

    def _embed(self, number: int, request: protocol.Embed) -> Vectors:
        vectors = self._measuring_model(number).embed(request.texts, request.role, self._progress(number, "embed"))
        return Vectors(vectors.shape[1], vectors.astype("<f4").tobytes())

    def _rerank(self, number: int, request: protocol.Rerank) -> Scores:
        runner = self._measuring_model(number)
        return Scores(runner.rerank(request.query, request.texts, self._progress(number, "embed")))

    def _write_reference(self, number: int, request: protocol.WriteReference) -> None:
        from desktop_app.engine.distributions import write_reference

        write_reference(self._model_for(request.ids), request.ids, request.start, request.out)

    def _compare(self, number: int, request: protocol.Compare) -> Divergences:
        from desktop_app.engine.distributions import compare

        return compare(self._model_for(request.ids), request.ids, request.start, request.reference)

    def _collect_importance(self, number: int, request: protocol.CollectImportance) -> None:
        runner = self._model_for(request.ids)
        collector = self._collector()
        for _ in runner.logit_blocks(request.ids):  # all positions: llama.cpp computes the last layer for no others
            pass
        collector.check()

    def _resume_importance(self, number: int, request: protocol.ResumeImportance) -> CollectedChunks:
        from converter.importance import read_collected

        found = read_collected(request.path)
        if found is None or found.key != request.key:
            return CollectedChunks(0)
        self._collector().sums = dict(found.sums)
        return CollectedChunks(found.chunks)

    def _write_importance(self, number: int, request: protocol.WriteImportance) -> Coverage:
        from converter.importance import Collected, write_collected

        sums = self._collector().sums
        collected = Collected(sums, request.chunk_size, (request.dataset,), request.key)
        try:
            write_collected(request.out, collected)
        except OSError as error:
            raise cannot_write(request.out, error) from error
        experts = {name: entry.counts.tolist() for name, entry in sums.items() if len(entry.counts) > 1}
        return Coverage(len(sums), collected.chunks, dict(sorted(experts.items())))

    def _collector(self) -> ImportanceCollector:
        found = self._model().importance
        if found is None:
            raise ZhiyinError(
                "{path} cannot be given an importance matrix: llama.cpp does not run this architecture.",
                path=self._model().info.path,
                code="no-importance",
            )
        return found

    def _measure(self, number: int, request: protocol.Measure) -> Durations:
        from desktop_app.engine.measuring import speeds

        runner = self._model_for(request.ids)
        return Durations(
            *(runner.bare_speeds if request.bare else partial(speeds, runner))(request.ids, request.tokens)
        )

    def _measure_read_speed(self, number: int, request: protocol.MeasureReadSpeed) -> ReadSpeed:
        from desktop_app.engine.bandwidth import measure

        return measure()

    def _model_for(self, ids: Sequence[int]) -> Runner:
        """Return the loaded model; raises ZhiyinError where it does not know one of the ids."""
        runner = self._model()
        size = runner.info.vocabulary_size
        wrong = [token for token in ids if not 0 <= token < size]
        if wrong or not ids:
            raise ZhiyinError(
                "Token ids must lie between 0 and {last}, but {found}; correct --ids or --text.",
                last=size - 1,
                found=Sentence("{id} is not one", id=wrong[0]) if wrong else Sentence("there is none"),
            )
        return runner

    def _save_state(self, number: int, request: protocol.SaveState) -> SavedState:
        return SavedState(self._model().save_state(request.path))

    def _load_state(self, number: int, request: protocol.LoadState) -> RestoredState:
        return RestoredState(self._model().load_state(request.path))

    def _stats(self, number: int, request: protocol.Stats) -> ProcessStats:
        import llama_cpp.llama_cpp  # noqa: F401 - every model needs it: what the process holds before its first one has it
        import psutil

        memory = psutil.Process().memory_info()
        return ProcessStats(
            resident_bytes=memory.rss,
            private_bytes=memory.rss - max(0, getattr(memory, "shared", 0) - _locked_bytes()),
            peak_bytes=_peak_bytes(memory),
            largest_batch=0 if self._runner is None else self._runner.largest_batch,
            devices=devices(),
        )

    def _devices(self, number: int, request: protocol.Devices) -> ComputeFacts:
        import llama_cpp.llama_cpp as llama
        import psutil

        from desktop_app.engine.graph.repacking import repacked_types

        return ComputeFacts(
            devices=devices(),
            backends=tuple(backends()),
            system_info=(llama.llama_print_system_info() or b"").decode("utf-8", "replace").strip(),
            resident_bytes=psutil.Process().memory_info().rss,
            repacked=tuple(repacked_types()),
            parts=self._parts,
        )


def _locked_bytes() -> int:
    """Return what of this process the system may not drop or swap out (Linux; elsewhere nobody asks)."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmLck:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii", "replace"), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def _peak_bytes(memory: Any) -> int:
    """Return the most that this process ever held in memory; `memory` is what psutil tells of it now."""
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all."""
    import numpy as np

    def write(file: BinaryIO) -> None:
        whole = np.ascontiguousarray(array)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
        file.write(whole.data)  # NumPy's own writing tells no errno

    try:
        write_file(path, write)
    except OSError as error:
        raise cannot_write(path, error, OTHER_PLACE) from error
