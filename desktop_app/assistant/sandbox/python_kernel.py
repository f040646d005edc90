"""The application's side of the Python process: starts it, passes code in, ends it when it takes too long or too much disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, cast

import msgspec

from desktop_app.assistant.sandbox import bubblewrap
from desktop_app.assistant.sandbox.places import INSIDE, program_places
from desktop_app.assistant.tool import Output, ToolFailed, ToolResult
from desktop_app.chat.table import table_from
from desktop_app.processes.start import end, own_command

RUN_SECONDS = 120.0
"""Of one run."""
_GRACE = 2.0
"""Seconds between an interrupt and a kill."""
_LOOK = 0.1
_LARGEST_FOLDER, _MOST_FILES = 512 << 20, 5_000
_LONGEST_LINE = 4 << 20


class _Message(msgspec.Struct):
    kind: str = ""
    text: str = ""
    error: str = ""
    value: str = ""
    table: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Message)


def is_supported() -> bool:
    """Tell whether the system can hold a process to its folder here: Linux with Landlock or bubblewrap."""
    if sys.platform != "linux":
        return False
    from desktop_app.assistant.sandbox import seccomp

    return seccomp.is_supported() and (has_landlock() or bubblewrap.program() is not None)


def has_landlock() -> bool:
    """Tell whether the kernel itself can hold a process to its folder; bubblewrap is for those that cannot."""
    from desktop_app.assistant.sandbox import landlock

    return landlock.version() >= landlock.OLDEST


class PythonKernel:
    """One chat's Python; its process begins with the first run."""

    def __init__(self, work: Path, readable: Sequence[Path] = ()) -> None:
        """Take the folder that it may write, and what else it may read."""
        self._work = work
        self._readable = [str(path) for path in readable]
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: SimpleQueue[_Message | None] = SimpleQueue()
        self._lock = threading.Lock()

    def run(self, code: str, stop: threading.Event, output: Output, seconds: float = RUN_SECONDS) -> ToolResult:
        """Run code and wait for its end; variables of earlier runs are there.

        Raises:
            ToolFailed: the process could not be started, or ended.
        """
        with self._lock:
            before = dict(_files(self._work))
            process = self._started()
            with suppress(OSError):  # a dead process is noticed below
                pipe = cast(BinaryIO, process.stdin)
                pipe.write(msgspec.json.encode({"code": code}) + b"\n")
                pipe.flush()
            texts: list[str] = []
            done = self._follow(process, stop, time.monotonic() + seconds, texts, output)
            made = [path for path, state in _files(self._work) if before.get(path) != state]
            parts = ("".join(texts).rstrip(), done.value, done.error.rstrip())
            text = "\n".join(part for part in parts if part) or "It ran and printed nothing."
            table = table_from(done.table)
            return ToolResult(text, tuple(made), bool(done.error), () if table is None else (table,))

    def close(self) -> None:
        """End the process; variables are gone."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the running process."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._work.mkdir(parents=True, exist_ok=True)
        self._messages = SimpleQueue()
        begun: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()
        threading.Thread(target=self._serve, args=(begun, self._messages), name="python", daemon=True).start()
        process = begun.get()
        if isinstance(process, OSError):
            raise ToolFailed("Python could not be started: {reason}.", reason=process.strerror or "")
        self._process = process
        settings = {"work": str(self._work.resolve()), "readable": self._readable}
        with suppress(OSError):
            cast(BinaryIO, process.stdin).write(msgspec.json.encode(settings) + b"\n")
            cast(BinaryIO, process.stdin).flush()
        ready = self._messages.get()
        if ready is None or ready.kind != "ready":
            self.close()
            raise ToolFailed("The system did not let Python be confined to its folder, so that it was not run.")
        return process

    def _command(self) -> list[str]:
        command = own_command("--python")
        if has_landlock():
            return [*command, str(os.getpid())]
        places = [*program_places(), *map(Path, self._readable)]
        return bubblewrap.wrapped([*command, str(INSIDE)], self._work.resolve(), places)

    def _serve(
        self, begun: SimpleQueue[subprocess.Popen[bytes] | OSError], messages: SimpleQueue[_Message | None]
    ) -> None:
        """Start the process and hand on what it says: it ends with this thread, which lives as long as it does."""
        try:
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(self._work),
                start_new_session=True,
            )
        except OSError as error:
            begun.put(error)
            return
        begun.put(process)
        pipe = cast(BinaryIO, process.stdout)
        with suppress(OSError, ValueError, msgspec.DecodeError):
            while line := pipe.readline(_LONGEST_LINE):
                messages.put(_DECODER.decode(line))
        process.kill()  # it is dead, or says what it should not
        process.wait()
        messages.put(None)

    def _follow(
        self, process: subprocess.Popen[bytes], stop: threading.Event, end: float, texts: list[str], output: Output
    ) -> _Message:
        """Pass on output until the run ends; interrupt it where it is stopped, takes too long or fills the disk."""
        cause, kill_at = "", 0.0
        next_look = time.monotonic() + 1
        while True:
            now = time.monotonic()
            if not cause and (stop.is_set() or now > end):
                cause, kill_at = (
                    "It was stopped." if stop.is_set() else "It took too long and was stopped.",
                    now + _GRACE,
                )
                process.send_signal(signal.SIGINT)
            elif cause and now > kill_at:
                process.kill()
            if now > next_look:
                next_look = now + 1
                if _is_overfull(self._work):
                    cause = cause or "It wrote more than its folder may hold and was ended."
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


def _environment(work: Path) -> dict[str, str]:
    """Return the variables of the process: none of the user's."""
    return {
        "LANG": "C.UTF-8",
        "HOME": str(work),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(work / ".matplotlib"),
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _files(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the ordinary files of the work folder with size and time; hidden ones and links left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names)[:_MOST_FILES]:
            path = Path(root, name)
            with suppress(OSError):
                if not name.startswith(".") and path.is_file() and not path.is_symlink():
                    state = path.stat()
                    yield path, (state.st_size, state.st_mtime_ns)


def _is_overfull(folder: Path) -> bool:
    """Tell whether a folder holds more than it may, hidden files counted too."""
    size = count = 0
    for root, _, names in os.walk(folder):
        for name in names:
            count += 1
            with suppress(OSError):
                size += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - a million of them must be fast
        if size > _LARGEST_FOLDER or count > _MOST_FILES:
            return True
    return False
