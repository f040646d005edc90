"""Linux and macOS alike: limits that cannot be raised again, and a confined process that takes signals."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, BinaryIO, cast

from desktop_app.processes.start import end

FILE, OPEN_FILES = 256 << 20, 256
"""Bytes of a file, files that are open at once."""


def limit(limits: Mapping[int, int]) -> None:
    """Limit this process for good: `limits` has values for RLIMIT_ constants, besides those of its files."""
    common = {resource.RLIMIT_FSIZE: FILE, resource.RLIMIT_NOFILE: OPEN_FILES, resource.RLIMIT_CORE: 0}
    for kind, wanted in {**common, **limits}.items():
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing more fails instead of ending the process


def innermost(process: int) -> int:
    """Return the last of the processes that one began, each by the one before."""
    import psutil

    with suppress(psutil.Error):
        return [process, *(child.pid for child in psutil.Process(process).children(recursive=True))][-1]
    return process


class PosixProcess:
    """A confined process; there may be another one around it, which is ours."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        excess: Callable[[int], str],
        *,
        wrapped: bool,
        link: IO[bytes] | None = None,
    ) -> None:
        """Take the process.

        Args:
            process: with pipes.
            excess: looks at what the inner process takes.
            wrapped: it is around the one that runs code.
            link: the pipe whose end the one around waits for, to end the inner one.
        """
        self.stdin, self.stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        self._process, self._look, self._wrapped, self._link = process, excess, wrapped, link
        self._inner = 0

    @property
    def pid(self) -> int:
        """The process that runs the code; looked for once it runs."""
        if not self._inner:
            inner = innermost(self._process.pid) if self._wrapped else self._process.pid
            if inner == self._process.pid and self._wrapped:
                return inner
            self._inner = inner
        return self._inner

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Have Python raise KeyboardInterrupt."""
        self._signal(signal.SIGINT)

    def pause(self) -> None:
        """Let nothing of it run."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def excess(self) -> str:
        """Return what it takes too much of."""
        return self._look(self.pid)

    def kill(self) -> None:
        """End both processes and wait."""
        if self._wrapped:
            self._signal(signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End both processes and close the pipes."""
        self.kill()
        end(self._process)
        if self._link is not None:
            self._link.close()

    def _signal(self, number: int) -> None:
        if self.is_alive():
            with suppress(OSError):
                os.kill(self.pid, number)
