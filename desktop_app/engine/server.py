"""The engine process: reads requests from stdin, answers on stdout, and dies with its parent.

One thread reads requests, so that a cancellation is seen at once; the main thread works them off in their order.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from desktop_app.engine import protocol
from desktop_app.engine.backends import backends, devices, prepare_environment
from desktop_app.engine.protocol import Event
from desktop_app.engine.runner import ContextFull, OutOfMemory, Runner
from desktop_app.paths import log_file
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import private_stdout
from models.errors import BadFile, UnsupportedModel, ZhiyinError

if TYPE_CHECKING:
    import numpy as np

_PROGRESS_SECONDS = 0.05
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemory, "memory"),
    (MemoryError, "memory"),
    (ContextFull, "context"),
    (UnsupportedModel, "model"),
    (BadFile, "file"),
)


def main(link: int) -> int:
    """Run until stdin closes; `link` is for `end_with_parent`."""
    end_with_parent(link, grace=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal reaches every process; the parent decides
    prepare_environment()
    engine = EngineProcess(sys.stdin.buffer, private_stdout())
    threading.Thread(target=engine.read_requests, name="requests", daemon=True).start()
    engine.work()
    return 0


class EngineProcess:
    """The state of the process: at most one model, requests in a queue."""

    def __init__(self, requests: BinaryIO, events: BinaryIO) -> None:
        """Take the two ends of the pipe."""
        self._requests = requests
        self._events = events
        self._lock = threading.Lock()
        self._settled = threading.Lock()
        """Held while an answer and what is written after it belong together: the process does not end in between."""
        self._afterwards: Callable[[], None] | None = None
        self._identity = ""
        self._queue: queue.SimpleQueue[tuple[int, protocol.Request]] = queue.SimpleQueue()
        self._runner: Runner | None = None
        self._current = 0
        self._cancelled: set[int] = set()
        self._handlers: dict[type[protocol.Request], Callable[[int, Any], dict[str, Any]]] = {
            protocol.Load: self._load,
            protocol.SetAdapters: self._set_adapters,
            protocol.Unload: self._unload,
            protocol.Generate: self._generate,
            protocol.Tokenize: self._tokenize,
            protocol.Prompt: self._prompt,
            protocol.Logits: self._logits,
            protocol.Score: self._score,
            protocol.Measure: self._measure,
            protocol.SaveState: self._save_state,
            protocol.LoadState: self._load_state,
            protocol.Stats: self._stats,
            protocol.Devices: self._devices,
        }

    def read_requests(self) -> None:
        """Put requests in the queue; a closed stdin means that the parent is gone."""
        for line in self._requests:
            number, request = protocol.decode_request(line)
            if isinstance(request, protocol.Cancel):
                self._cancel(number, request)
            else:
                self._queue.put((number, request))
        with self._settled:
            os._exit(0)

    def work(self) -> None:
        """Answer requests, one after the other, for ever."""
        self._send(Event(0, "ready", {"pid": os.getpid()}))
        while True:
            number, request = self._queue.get()
            with self._lock:
                self._current = number
            answer = self._answer(number, request)
            with self._settled:
                self._send(answer)
                self._write_afterwards()
            with self._lock:
                self._current = 0
                self._cancelled.discard(number)
                if self._runner is not None:
                    self._runner.interrupt(False)

    def _answer(self, number: int, request: protocol.Request) -> Event:
        try:
            return Event(number, "done", self._handlers[type(request)](number, request))
        except (ZhiyinError, MemoryError) as error:
            cause = next((name for kind, name in _CAUSES if isinstance(error, kind)), "model")
            message = str(error) or "The memory ran out; choose a smaller model or a smaller context."
            return Event(number, "failed", {"message": message, "cause": cause})
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)  # into the log
            message = (
                "The engine made a mistake of its own; try again, and if it happens again report what "
                f"{log_file('engine')} says of it. Nothing of the chat is lost."
            )
            return Event(number, "failed", {"message": message, "cause": "internal"})

    def _write_afterwards(self) -> None:
        write, self._afterwards = self._afterwards, None
        if write is not None:
            write()

    def _cancel(self, number: int, request: protocol.Cancel) -> None:
        with self._lock:
            self._cancelled.add(request.target)
            if request.target == self._current and self._runner is not None:
                self._runner.interrupt(True)
        self._send(Event(number, "done"))

    def _send(self, event: Event) -> None:
        data = protocol.encode_event(event)
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
                self._send(Event(number, "progress", {"part": part, "phase": phase}))

        return listener

    def _model(self) -> Runner:
        if self._runner is None:
            raise ZhiyinError("No model is loaded; choose one first.")
        return self._runner

    def _load(self, number: int, request: protocol.Load) -> dict[str, Any]:
        from desktop_app.engine.load import load_runner
        from desktop_app.engine.prompting import effort_by_itself, thinks_by_itself
        from desktop_app.engine.state.chat_states import model_identity

        self._unload(number, protocol.Unload())
        runner = load_runner(Path(request.path), request.settings, self._progress(number, "load"))
        if request.adapters:
            try:
                runner.set_adapters(request.adapters)
            except ZhiyinError:
                runner.close()
                raise
        self._runner = runner
        self._identity = model_identity(Path(request.path), request.adapters)
        return asdict(replace(runner.info, thinking=thinks_by_itself(runner), effort=effort_by_itself(runner)))

    def _set_adapters(self, number: int, request: protocol.SetAdapters) -> dict[str, Any]:
        from desktop_app.engine.state.chat_states import model_identity

        self._model().set_adapters(request.adapters)
        self._identity = model_identity(Path(self._model().info.path), request.adapters)
        return {}

    def _unload(self, number: int, request: protocol.Unload) -> dict[str, Any]:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.close()
        return {}

    def _generate(self, number: int, request: protocol.Generate) -> dict[str, Any]:
        from desktop_app.engine.generation import Shown, check_room, generate
        from desktop_app.engine.prompting import mark_tokens, prompt_tokens, reply_opening, settled_tokens
        from desktop_app.engine.state.chat_states import resume, store
        from models.chat.dialects import DIALECTS

        runner = self._model()
        if number in self._cancelled:
            runner.interrupt(True)
        asked = request.prompt
        prompt = prompt_tokens(runner, asked)
        check_room(runner, prompt)
        dialect = DIALECTS.get(runner.info.dialect)
        recurrent, file, identity = runner.info.context == 0, Path(request.state), self._identity
        if recurrent and request.state:
            resume(runner, file, identity, prompt)
        shown = Shown(
            None if dialect is None or dialect.reply is None else dialect.reply(),
            reply_opening(runner, asked) if runner.info.reasoning else "",
            {} if dialect is None else mark_tokens(runner, dialect.marks),
        )
        reply = generate(
            runner,
            prompt,
            request.sampling,
            lambda text: self._send(Event(number, "text", {"text": text})),
            self._progress(number, "prompt"),
            shown,
            settled_tokens(runner, asked, prompt) if runner.info.forward_only else None,
        )
        if recurrent and request.state:
            self._afterwards = lambda: store(runner, file, identity)
        if dialect is not None and dialect.tool_calls is not None:
            calls = dialect.tool_calls(reply.text, request.tools)
            reply = replace(reply, tool_calls=tuple(call.openai(index) for index, call in enumerate(calls)))
        return asdict(reply)

    def _tokenize(self, number: int, request: protocol.Tokenize) -> dict[str, Any]:
        runner = self._model()
        special = request.special and not runner.info.plain_text
        return {"ids": runner.tokenize(request.text, add_special=request.add_special, special=special)}

    def _prompt(self, number: int, request: protocol.Prompt) -> dict[str, Any]:
        from desktop_app.engine.prompting import prompt_tokens, render_prompt

        runner = self._model()
        prompt = render_prompt(runner, request)
        ids = prompt_tokens(runner, request)
        return {"prompt": prompt, "ids": ids}

    def _logits(self, number: int, request: protocol.Logits) -> dict[str, Any]:
        logits = self._model_for(request.ids).all_logits(request.ids)
        _write_array(Path(request.out), logits)
        return {"shape": list(logits.shape)}

    def _score(self, number: int, request: protocol.Score) -> dict[str, Any]:
        from desktop_app.engine.measuring import losses

        return {"losses": losses(self._model_for(request.ids), request.ids, request.start)}

    def _measure(self, number: int, request: protocol.Measure) -> dict[str, Any]:
        from desktop_app.engine.measuring import speeds

        prompt_seconds, seconds = speeds(self._model_for(request.ids), request.ids, request.tokens)
        return {"prompt_seconds": prompt_seconds, "seconds": seconds}

    def _model_for(self, ids: Sequence[int]) -> Runner:
        """Return the loaded model; raises ZhiyinError where it does not know one of the ids."""
        runner = self._model()
        size = runner.info.vocabulary_size
        wrong = [token for token in ids if not 0 <= token < size]
        if wrong or not ids:
            found = f"{wrong[0]} is not one" if wrong else "there is none"
            raise ZhiyinError(f"Token ids must lie between 0 and {size - 1}, but {found}; correct --ids or --text.")
        return runner

    def _save_state(self, number: int, request: protocol.SaveState) -> dict[str, Any]:
        return {"bytes": self._model().save_state(Path(request.path))}

    def _load_state(self, number: int, request: protocol.LoadState) -> dict[str, Any]:
        return {"tokens": self._model().load_state(Path(request.path))}

    def _stats(self, number: int, request: protocol.Stats) -> dict[str, Any]:
        import llama_cpp.llama_cpp  # noqa: F401 - every model needs it: what the process holds before its first one has it
        import psutil

        memory = psutil.Process().memory_info()
        return {
            "resident_bytes": memory.rss,
            "private_bytes": memory.rss - max(0, getattr(memory, "shared", 0) - _locked_bytes()),
            "peak_bytes": _peak_bytes(memory),
            "largest_batch": 0 if self._runner is None else self._runner.largest_batch,
            "devices": devices(),
        }

    def _devices(self, number: int, request: protocol.Devices) -> dict[str, Any]:
        import llama_cpp.llama_cpp as llama
        import psutil

        from desktop_app.engine.graph.repacking import rearranged_types

        return {
            "devices": devices(),
            "backends": backends(),
            "resident_bytes": psutil.Process().memory_info().rss,
            "system_info": (llama.llama_print_system_info() or b"").decode("utf-8", "replace").strip(),
            "rearranged": rearranged_types(),
        }


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

    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.save(file, array)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise BadFile(
            "{path} cannot be written ({reason}); choose another place.", path=path, reason=error.strerror or error
        ) from error
