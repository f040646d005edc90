"""The application's side of the Python process: starts it, passes code in, ends it when it takes too long or too much disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from desktop_app.assistant.sandbox import drawing
from desktop_app.assistant.sandbox.confinement import Confined, Confinement, confinement
from desktop_app.assistant.sandbox.watch import entries_of
from desktop_app.assistant.tool import Output, ToolFailed, ToolResult
from desktop_app.chat.table import table_from
from desktop_app.processes.start import own_command
from models.system_reasons import system_reason

RUN_SECONDS = 120.0
"""Of one run."""
_GRACE = 2.0
"""Seconds between an interrupt and a kill."""
_LOOK = 0.1
_WATCH = 0.25
"""Seconds between two looks at what it takes."""
_LONGEST_LINE = 4 << 20
_MOST_TEXT = 400_000
"""Characters that a run may print: the process itself keeps to half of it, unless somebody writes past that."""


class _Message(msgspec.Struct):
    kind: str = ""
    text: str = ""
    error: str = ""
    value: str = ""
    table: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Message)


class PythonKernel:
    """One chat's Python; its process begins with the first run."""

    def __init__(self, work: Path, readable: Sequence[Path] = ()) -> None:
        """Take the folder that it may write, and what else it may read; raises `ToolFailed` where nothing can confine it."""
        system = confinement()
        if system is None:
            raise not_confined()
        self._system: Confinement = system
        self._work = work
        self._readable = list(readable)
        self._process: Confined | None = None
        self._messages: SimpleQueue[_Message | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._left = 0
        """Characters that the run under way may still print."""

    def run(self, code: str, stop: threading.Event, output: Output, seconds: float = RUN_SECONDS) -> ToolResult:
        """Run code and wait for its end; variables of earlier runs are there.

        Raises:
            ToolFailed: the process could not be started, or ended.
        """
        with self._lock:
            before = _files(self._work)
            process = self._started()
            while not self._messages.empty():  # what was said after the end of an earlier run answers nothing
                self._messages.get()
            self._left = _MOST_TEXT
            process.resume()
            request = msgspec.json.encode({"code": code}) + b"\n"
            threading.Thread(target=_written, args=(process, request), daemon=True).start()
            texts: list[str] = []
            done = self._follow(process, stop, time.monotonic() + seconds, texts, output)
            if (self._work / drawing.FOLDER).is_dir():  # it draws, and so will other chats
                drawing.make_font_list(_run_apart)
            process.pause()  # what it left running works, and takes room, while somebody looks
            made = [path for path, state in _files(self._work).items() if before.get(path) != state]
            parts = ("".join(texts).rstrip(), done.value, done.error.rstrip())
            text = "\n".join(part for part in parts if part) or "It ran and printed nothing."
            table = table_from(done.table)
            return ToolResult(text, tuple(made), bool(done.error), () if table is None else (table,))

    def close(self) -> None:
        """End the process; variables are gone."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _started(self) -> Confined:
        """Return the running process."""
        if self._process is not None and self._process.is_alive():
            return self._process
        self.close()
        self._work.mkdir(parents=True, exist_ok=True)
        self._messages = SimpleQueue()
        begun: SimpleQueue[Confined | OSError] = SimpleQueue()
        threading.Thread(target=self._serve, args=(begun, self._messages), name="python", daemon=True).start()
        process = begun.get()
        if isinstance(process, OSError):
            raise ToolFailed("Python could not be started: {reason}.", reason=system_reason(process))
        self._process = process
        settings = {
            "work": str(self._work.resolve()),
            "readable": [str(path) for path in self._places],
            "fonts": str(drawing.font_list()),
        }
        with suppress(OSError):
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            process.stdin.flush()
        ready = self._messages.get()
        if ready is None or ready.kind != "ready":
            self.close()
            raise not_confined()
        return process

    @property
    def _places(self) -> list[Path]:
        """What the process may read besides its own parts."""
        return [*self._readable, *([drawing.font_list()] if drawing.has_font_list() else [])]

    def _serve(self, begun: SimpleQueue[Confined | OSError], messages: SimpleQueue[_Message | None]) -> None:
        """Start the process and hand on what it says: it ends with this thread, which lives as long as it does."""
        try:
            process = self._system.start(
                own_command("--python"), self._work.resolve(), self._places, _environment(self._work)
            )
        except OSError as error:
            begun.put(error)
            return
        begun.put(process)
        with suppress(OSError, ValueError, msgspec.DecodeError):
            while line := process.stdout.readline(_LONGEST_LINE):
                message = _DECODER.decode(line)
                if message.kind == "text":
                    message.text = message.text[: max(0, self._left)]
                    self._left -= len(message.text)
                if message.text or message.kind in ("ready", "done"):
                    messages.put(message)
        process.kill()  # it is dead, or says what it should not
        messages.put(None)

    def _follow(
        self, process: Confined, stop: threading.Event, end: float, texts: list[str], output: Output
    ) -> _Message:
        """Pass on output until the run ends; interrupt it where it is stopped, takes too long or fills the disk."""
        cause, kill_at = "", 0.0
        next_look = time.monotonic() + _WATCH
        while True:
            now = time.monotonic()
            if not cause and (stop.is_set() or now > end):
                cause, kill_at = (
                    "It was stopped." if stop.is_set() else "It took too long and was stopped.",
                    now + _GRACE,
                )
                process.interrupt()
            elif cause and now > kill_at:
                process.kill()
            if now > next_look:
                next_look = now + _WATCH
                if reason := process.excess():
                    cause = cause or reason
                    process.kill()
            try:
                message = self._messages.get(timeout=_LOOK)
            except Empty:
                continue
            if message is None:
                self.close()
                cause = cause or "Python ended by itself, or the system ended it for the memory it took."
                return _Message("done", error=f"{cause} Its variables are gone; define them again.")
            if message.kind == "done":
                message.error = f"{message.error.rstrip()}\n{cause}".strip()
                return message
            if message.kind == "text":
                texts.append(message.text)
                output(message.text)


def _run_apart(work: Path, code: str) -> None:
    """Run code of ours in a process of its own; raises `ToolFailed`."""
    kernel = PythonKernel(work)
    try:
        kernel.run(code, threading.Event(), lambda _: None)
    finally:
        kernel.close()


def not_confined() -> ToolFailed:
    """Return what is said where Python was not run."""
    return ToolFailed("The system did not let Python be confined to its folder, so that it was not run.")


def _written(process: Confined, request: bytes) -> None:
    """Write into a process that may not read; one that is dead is noticed elsewhere."""
    with suppress(OSError, ValueError):
        process.stdin.write(request)
        process.stdin.flush()


def _environment(work: Path) -> dict[str, str]:
    """Return the variables of the process: none of the user's."""
    return {
        "LANG": "C.UTF-8",
        "HOME": str(work),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(work / drawing.FOLDER),
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the ordinary files of the work folder with size and time; hidden ones and links left out."""
    states: dict[Path, tuple[int, int]] = {}
    for entry in entries_of(folder):
        path = Path(entry.path)
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False) and not any(
                part.startswith(".") for part in path.relative_to(folder).parts
            ):
                state = entry.stat(follow_symlinks=False)
                states[path] = state.st_size, state.st_mtime_ns
    return dict(sorted(states.items()))
