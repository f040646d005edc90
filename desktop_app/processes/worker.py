"""A long piece of work in a process of its own: whatever it costs or breaks, the window goes on.

Reading a tokenizer holds Python's global lock for tenths of a second, longer than a frame, and a conversion may be ended by the
system when memory runs out. Neither may reach the window, so that work does not run on one of its threads.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar, cast

from desktop_app.network import watch
from desktop_app.paths import log_file
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.logs import open_log
from desktop_app.processes.start import private_stdout, start
from models.errors import Cancelled, ZhiyinError
from models.system_errors import as_zhiyin_error

T = TypeVar("T")
Tell = Callable[[Any], None]
"""Takes an event of the work, which must be picklable."""
Work = Callable[[Tell, Callable[[], bool]], T]
"""Given how to tell of its progress and whether to stop; picklable: a function of a module, or a `partial` of one."""

_PATIENCE = 0.1
"""Seconds between two looks at whether to stop."""
_END = 5.0
"""Seconds that a process gets for its end."""


class WorkerDied(ZhiyinError):
    """The process ended before its work did."""

    default_code = "worker-died"


class Unexpected(ZhiyinError):
    """The work met a fault of the program's own; the worker's log has it too."""

    default_code = "internal"

    @property
    def details(self) -> str:
        """The traceback."""
        return str(self.values["details"])


def in_process(work: Work[T], tell: Tell, stop: threading.Event, grace: float = _END) -> T:
    """Run a piece of work in a new process and wait for it.

    Args:
        work: what to do.
        tell: hears its events on this thread.
        stop: set it to stop the work.
        grace: seconds that the process then gets to put things in order, before it is killed.

    Raises:
        Cancelled: it was stopped.
        WorkerDied: the process was ended or crashed; it could not clear up after itself.
        Unexpected: the work raised what it should not.
        ZhiyinError: the work failed.
    """
    with open_log("worker") as log:
        process = start("--worker", log)
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(process, messages), name="worker", daemon=True).start()
    try:
        _send(process, work)
        return cast(T, _follow(process, messages, tell, stop, grace))
    except EOFError:
        if stop.is_set():
            raise Cancelled("It was stopped.") from None
        raise _death(process.wait()) from None
    finally:
        process.kill()  # it is done, or has had its time
        process.wait()
        _close(process)


def _receive(process: subprocess.Popen[bytes], messages: queue.SimpleQueue[tuple[str, Any]]) -> None:
    """Hand on what the process says, and that it said its last."""
    try:
        while True:
            messages.put(pickle.load(cast(BinaryIO, process.stdout)))  # noqa: S301 - written by our own process
    except (EOFError, OSError, ValueError, pickle.UnpicklingError):
        messages.put(("end", None))


def _send(process: subprocess.Popen[bytes], message: Any) -> None:
    pipe = cast(BinaryIO, process.stdin)
    with suppress(OSError):  # it died already, which `_receive` notices
        pickle.dump(message, pipe)
        pipe.flush()


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            cast(BinaryIO, pipe).close()


def _follow(
    process: subprocess.Popen[bytes],
    messages: queue.SimpleQueue[tuple[str, Any]],
    tell: Tell,
    stop: threading.Event,
    grace: float,
) -> Any:
    """Hand on events until the result comes."""
    end: float | None = None
    while True:
        if stop.is_set() and end is None:
            end = time.monotonic() + grace
            _send(process, None)
        if end is not None and time.monotonic() > end:
            raise EOFError
        try:
            kind, value = messages.get(timeout=_PATIENCE)
        except queue.Empty:
            continue
        if kind == "event":
            tell(value)
        elif kind == "done":
            return value
        elif kind == "end":
            raise EOFError
        else:
            raise cast(ZhiyinError, value)


def _death(code: int) -> WorkerDied:
    if os.name != "nt" and code == -signal.SIGKILL:
        return WorkerDied(
            "The work was ended by the system, most likely because memory ran out; close other programs and try again.",
            code="out-of-memory",
        )
    return WorkerDied(
        "The work ended by itself (code {status}); try again, and look at {path}.", status=code, path=log_file("worker")
    )


def main(link: int) -> int:
    """Run in the new process: do the work, and stop when asked or when the window is gone.

    Args:
        link: for `end_with_parent`, which ends work that does not stop.
    """
    end_with_parent(link, grace=True)
    watch()
    pipe, events = sys.stdin.buffer, private_stdout()
    faulthandler.enable(open_log("worker"))  # its last words, should it crash
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal reaches every process; the window decides
    try:
        work = pickle.load(pipe)  # noqa: S301 - written by the process that started this one
    except EOFError:
        return 0  # that one ended at once
    stop = threading.Event()

    def listen() -> None:
        pipe.read(1)
        stop.set()

    def tell(kind: str, value: Any) -> None:
        pickle.dump((kind, value), events)
        events.flush()

    threading.Thread(target=listen, name="stop", daemon=True).start()
    answer = _answer(work, lambda event: tell("event", event), stop)
    with suppress(OSError):  # nobody is there any more
        tell(*answer)
    sys.stderr.flush()
    os._exit(0)  # Python would wait for the thread that reads the pipe


def _answer(work: Work[Any], tell: Tell, stop: threading.Event) -> tuple[str, Any]:
    try:
        return "done", work(tell, stop.is_set)
    except ZhiyinError as error:
        return "failed", error
    except (MemoryError, OSError) as error:
        stop.set()
        return "failed", as_zhiyin_error(error)
    except Exception:
        details = traceback.format_exc()
        with suppress(OSError), open_log("worker") as file:
            file.write(details.encode("utf-8", "replace"))
        return "failed", Unexpected(
            "This failed through a fault in Zhiyin itself; try again, and if it fails again report what {path} says of it.",
            path=log_file("worker"),
            details=details,
        )
