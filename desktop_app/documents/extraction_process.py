"""Extraction in a process of its own, which can be killed: documents are untrusted, and the libraries for them are large.

The process reads one path a line and answers with one line of JSON. Another thread here watches its time and memory, and the
system refuses it memory, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from desktop_app.documents.document import ANSWERS, Answer, Document, ExtractionFailed
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import end, private_stdout, start
from models.errors import ZhiyinError, error_from_data
from models.system_errors import as_zhiyin_error

SECONDS = 120
"""For one file."""
MEMORY = 1 << 30
_LOOK = 0.1
_LONGEST_LOOK = 1.0
"""More seconds between two looks are the computer's, which was suspended."""
_ADDRESSES = 3 * MEMORY
_LONGEST_ANSWER = 128 * 1024 * 1024
_OUT_OF_MEMORY = 3
"""The exit code."""


class Extractor:
    """A process that extracts the text of files, one after the other; a new one is started after it was killed."""

    def __init__(self, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        """Begin without a process; the first file starts it.

        Args:
            seconds: that one file may take.
            memory: bytes that the process may hold.
        """
        self._process: subprocess.Popen[bytes] | None = None
        self._seconds, self._memory = seconds, memory

    def extract(self, path: Path, stopped: Callable[[], bool] | None = None) -> Document:
        """Return a file's text.

        Raises:
            ExtractionFailed: it is damaged, locked, of another kind, or takes too much time or memory; or `stopped` said so.
            ZhiyinError: it cannot be read, or the system starts no process.
        """
        process = self._running()
        watch = _Watch(process, self._seconds, self._memory, stopped)
        line = b""
        with watch, suppress(OSError):
            pipe = cast(BinaryIO, process.stdin)
            pipe.write(json.dumps(str(path)).encode() + b"\n")
            pipe.flush()
            line = cast(BinaryIO, process.stdout).readline(_LONGEST_ANSWER)
        if not line.endswith(b"\n"):
            self.close()
            raise _failure(path, watch.reason or ("memory" if process.returncode == _OUT_OF_MEMORY else "died"))
        answer = ANSWERS.decode(line)
        if answer.document is None:
            raise error_from_data(answer.failed or {}, ExtractionFailed)
        return answer.document

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            try:
                self._process = start("--extractor", subprocess.DEVNULL)
            except OSError as error:
                raise as_zhiyin_error(error) from error
        return self._process

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Watch:
    """Kills a process that takes too long or too much memory for one file."""

    def __init__(
        self, process: subprocess.Popen[bytes], seconds: float, memory: int, stopped: Callable[[], bool] | None
    ) -> None:
        self.reason = ""
        self._process = process
        self._seconds, self._memory = seconds, memory
        self._stopped = stopped
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="extractor", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        seconds, last = 0.0, time.monotonic()
        while not self._done.wait(_LOOK):
            now = time.monotonic()
            seconds += min(now - last, _LONGEST_LOOK)
            last = now
            if self._stopped is not None and self._stopped():
                self.reason = "stopped"
            elif seconds > self._seconds:
                self.reason = "time"
            elif _resident(self._process.pid) > self._memory:
                self.reason = "memory"
            else:
                continue
            self._process.kill()
            return


def _failure(path: Path, reason: str) -> ExtractionFailed:
    if reason == "time":
        return ExtractionFailed(
            "{path} takes too long to read; it is left out. Save it anew, or in parts.", path=path, code="too-slow"
        )
    if reason == "memory":
        return ExtractionFailed(
            "{path} takes too much memory to read; it is left out. Save it anew, or in parts.",
            path=path,
            code="too-large",
        )
    if reason == "stopped":
        return ExtractionFailed("{path} was not read, because the work was stopped.", path=path, code="stopped")
    return ExtractionFailed("{path} cannot be read: it crashes the reader of its kind; save it anew.", path=path)


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0: it ended."""
    import psutil  # for slow files alone

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def main(link: int) -> int:
    """Run in the new process: extract until standard input ends; `link` is for `end_with_parent`."""
    end_with_parent(link, grace=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal reaches every process; the parent decides
    with suppress(OSError, AttributeError):
        os.nice(10)
    answers = private_stdout()
    _bound_memory()
    try:
        for line in sys.stdin.buffer:
            answers.write(msgspec.json.encode(_answer(Path(json.loads(line)))) + b"\n")
            answers.flush()
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    return 0


def _answer(path: Path) -> Answer:
    from desktop_app.documents.extraction import extract

    try:
        return Answer(document=extract(path))
    except ZhiyinError as error:
        return Answer(failed=error.data())
    except OSError as error:
        return Answer(failed=as_zhiyin_error(error).data())
    except RecursionError:
        return Answer(failed=_failure(path, "died").data())


def _bound_memory() -> None:
    """Let the system refuse memory, where it does so; elsewhere (macOS, Windows) `_Watch` alone looks after it."""
    if sys.platform != "win32":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = _ADDRESSES if most == resource.RLIM_INFINITY else min(most, _ADDRESSES)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
