"""Linux: the process confines itself by Landlock and seccomp; where the kernel has no Landlock, bubblewrap does that part."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from desktop_app.assistant.sandbox import bubblewrap, landlock, seccomp
from desktop_app.assistant.sandbox.places import INSIDE, libraries, program_places
from desktop_app.assistant.sandbox.posix import PosixProcess, limit
from desktop_app.assistant.sandbox.watch import HIDDEN, excess

MEMORY = 4 << 30
"""Bytes of address space."""
_PR_SET_PDEATHSIG = 1
_MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) .* \(deleted\)")


def has_landlock() -> bool:
    """Tell whether the kernel itself can hold a process to its folder; bubblewrap is for those that cannot."""
    return landlock.version() >= landlock.OLDEST


class Linux:
    """Landlock or bubblewrap, and seccomp."""

    def is_there(self) -> bool:
        """Tell whether this kernel and processor have the parts."""
        return seccomp.is_supported() and (has_landlock() or bubblewrap.program() is not None)

    def start(
        self, command: Sequence[str], work: Path, readable: Sequence[Path], environment: Mapping[str, str]
    ) -> PosixProcess:
        """Start the process: it ends with the thread that calls this."""
        wrapped = not has_landlock()
        if wrapped:
            places = [*program_places(), *readable]
            started = bubblewrap.wrapped([*command, str(INSIDE)], work, places)
        else:
            started = [*command, str(os.getpid())]
        process = subprocess.Popen(
            started,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        return PosixProcess(process, partial(_excess, work), wrapped=wrapped)

    def enter(self, parent: int, work: Path, readable: Sequence[Path]) -> None:
        """Confine this process; `parent` is who started it, or `INSIDE` where bubblewrap did, which ends it."""
        if parent != INSIDE:
            _end_with(parent)
        limit({resource.RLIMIT_AS: MEMORY})
        if parent != INSIDE:
            landlock.restrict([*libraries(), *readable], [work, Path("/dev/null")])
        seccomp.restrict()


def _end_with(parent: int) -> None:
    """See to it that this process ends with the thread that started it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _excess(work: Path, process: int) -> str:
    """Return what a process takes too much of; one that hides what it holds is named so."""
    try:
        threads = len(list(Path(f"/proc/{process}/task").iterdir()))
        held = _without_name(process, work)
    except PermissionError:
        return HIDDEN
    except OSError:
        return ""
    return excess(threads, held, work)


def _without_name(process: int, work: Path) -> int:
    """Return the bytes of the files that a process holds and that are in no folder any more; raises OSError."""
    held: dict[tuple[int, int], int] = {}
    for path in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                held[status.st_dev, status.st_ino] = status.st_blocks * 512
    with Path(f"/proc/{process}/maps").open(encoding="utf-8", errors="replace") as maps:
        return sum(held.values()) + sum(_mapped(maps, str(work.resolve())))


def _mapped(maps: Iterable[str], work: str) -> Iterator[int]:
    for line in maps:
        if f" {work}/" in line and (match := _MAPPED.match(line)) is not None:
            yield int(match[2], 16) - int(match[1], 16)
