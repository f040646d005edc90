"""The interpreter for systems that can confine no process: pydantic-monty, which reaches no files, network or processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_app.assistant.tool import Output, ToolResult

if TYPE_CHECKING:
    from pydantic_monty import MontySession

_LIMITS: Any = {"max_feed_duration_secs": 30.0, "max_memory": 512 << 20, "max_recursion_depth": 500}
_MOST_TEXT = 200_000
_LONGEST_VALUE = 20_000
_LOOK = 0.1


class PurePython:
    """One chat's variables; the interpreter begins with the first run."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._stack = ExitStack()
        self._session: MontySession | None = None
        self._lock = threading.Lock()

    def run(self, code: str, stop: threading.Event, output: Output) -> ToolResult:
        """Run code and return what came; variables of earlier runs are there."""
        from pydantic_monty import MontyError

        with self._lock:
            session = self._started()
            texts = _Texts(output)
            ended = threading.Event()
            threading.Thread(target=_end_when_stopped, args=(session.worker_pid, stop, ended), daemon=True).start()
            error, value = "", None
            try:
                value = session.feed_run(code, print_callback=texts.add)
            except MontyError as failure:
                error = str(failure)
            finally:
                ended.set()
            if stop.is_set():
                self.close()
                error = "It was stopped; its variables are gone."
        shown = "" if value is None else repr(value)[:_LONGEST_VALUE]
        text = "\n".join(part for part in ("".join(texts.parts).rstrip(), shown, error) if part)
        return ToolResult(text or "It ran and printed nothing.", failed=bool(error))

    def close(self) -> None:
        """End the interpreter; variables are gone."""
        self._session = None
        with suppress(Exception):  # its process was ended, which it reports
            self._stack.close()
        self._stack = ExitStack()

    def _started(self) -> MontySession:
        from pydantic_monty import Monty

        if self._session is None:
            pool = self._stack.enter_context(Monty(binary_path=_program()))
            self._session = self._stack.enter_context(pool.checkout(limits=_LIMITS))
        return self._session


def _program() -> str | None:
    """Return where a bundle has the interpreter's program; None: its package finds it."""
    folder = getattr(sys, "_MEIPASS", None)
    return None if folder is None else str(Path(folder, "monty", "monty.exe" if os.name == "nt" else "monty"))


class _Texts:
    """Printed output of a run, up to a limit."""

    def __init__(self, output: Output) -> None:
        self.parts: list[str] = []
        self._left, self._output = _MOST_TEXT, output

    def add(self, stream: str, text: str) -> None:
        """Take what was printed."""
        if self._left > 0:
            self.parts.append(text[: self._left])
            self._output(text[: self._left])
            self._left -= len(text)


def _end_when_stopped(process: int | None, stop: threading.Event, ended: threading.Event) -> None:
    """End the interpreter's process where the run is stopped."""
    while not ended.wait(_LOOK):
        if stop.is_set() and process:
            with suppress(OSError):
                os.kill(process, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            return
