"""The command `zhiyin` in a pseudo-terminal of a given width: what a user types and sees there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.support.commands import without_display

_ROOT = Path(__file__).parents[2]


class Terminal:
    """A process in a terminal of its own, which is its controlling one: Ctrl+C reaches its whole group."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 24, code: str = "", **environment: str) -> None:
        """Start `zhiyin ARGUMENTS`, or Python's `code` with them; its three standard streams are the terminal."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *(("-c", code) if code else ("-m", "desktop_app.cli")), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=without_display() | {"TERM": "xterm-256color"} | environment,
            cwd=_ROOT,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self.output = b""

    def read_until(self, wanted: bytes, seconds: float = 120) -> bytes:
        """Return what was printed since the last call up to `wanted`."""
        return self._read(lambda: wanted in self.output, wanted, seconds)

    def read_to_end(self, seconds: float = 120) -> bytes:
        """Return the rest of what is printed, when the process has ended."""
        return self._read(lambda: False, b"", seconds)

    def type(self, keys: bytes, seconds: float = 120) -> None:
        """Type as a terminal does: what the process does not read yet waits, and what it prints meanwhile is kept."""
        end = time.monotonic() + seconds
        while keys:
            readable, writable, _ = select.select([self._master], [self._master], [], 1)
            if readable:
                self._take()
            if writable:
                with contextlib.suppress(BlockingIOError):
                    keys = keys[os.write(self._master, keys[:1024]) :]
            assert time.monotonic() < end, f"{len(keys)} bytes were not taken; printed: {self.output[-2000:]!r}"

    def close(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.close(self._master)
        self.process.wait()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, found: object, wanted: bytes, seconds: float) -> bytes:
        assert callable(found)
        end = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < end, f"{wanted!r} was not printed; but: {self.output[-2000:]!r}"
            if select.select([self._master], [], [], 0.2)[0] and not self._take():
                break
        cut = self.output.find(wanted) + len(wanted) if wanted and wanted in self.output else len(self.output)
        assert not wanted or wanted in self.output[:cut], f"{wanted!r} was not printed; but: {self.output[-2000:]!r}"
        part, self.output = self.output[:cut], self.output[cut:]
        return part

    def _take(self) -> bool:
        """Take what was printed; False: the process has closed the terminal."""
        try:
            part = os.read(self._master, 65536)
        except BlockingIOError:
            return True
        except OSError:  # EIO: Linux's word for a terminal that nobody has open
            return False
        self.output += part
        return bool(part)


_START = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes the terminal the controlling one of the new session, as a terminal's program does."""
