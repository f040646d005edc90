"""Windows: the process runs in an AppContainer, which reaches no network and no file that was not granted to it, in a job object.

Source: Microsoft's "AppContainer isolation", "Implementing an AppContainer" and "Job objects". The container's own identity
(a SID made of its name) is granted the work folder and what the user attached, by the system's `icacls`; Python's own folders are
granted to all containers, once, as the system does for Program Files. The token of a container has low integrity and no
privilege that matters. The job limits memory, processor time and the number of processes, and ends its one process with the
application, which has the only handle.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import psutil

from desktop_app.assistant.sandbox.confinement import INTERRUPT
from desktop_app.assistant.sandbox.places import INSIDE, own_places
from desktop_app.assistant.sandbox.watch import MOST_WRITTEN, TOO_MUCH, excess

if TYPE_CHECKING:
    from desktop_app.assistant.sandbox.windows_calls import Calls, Started

_ALL_CONTAINERS = "S-1-15-2-1"
_SECONDS = 120
_CREATE_NO_WINDOW = 0x08000000


class Windows:
    """AppContainer and job object."""

    def is_there(self) -> bool:
        """Tell whether this Windows has containers (from 8 on), and what grants them files."""
        return _icacls().exists()

    def start(
        self, command: Sequence[str], work: Path, readable: Sequence[Path], environment: Mapping[str, str]
    ) -> ContainedProcess:
        """Start the process: it ends with this one."""
        from desktop_app.assistant.sandbox.windows_calls import Calls, loaded

        calls = Calls(loaded)
        started = [*command, str(INSIDE)]
        name = container_name(work)
        sid = calls.make_container(name)
        granted = [path.resolve() for path in readable]
        try:
            _let_containers_read_python()
            for grant in grants(sid, work, granted):
                _run(grant)
            program, more = own_program(started)
            process = calls.start(program, {**environment, **more, **_system_variables(work)}, work, sid)
        except BaseException:
            _take_back(calls, name, sid, granted)
            raise
        return ContainedProcess(calls, process, work, name, sid, granted)

    def enter(self, parent: int, work: Path, readable: Sequence[Path]) -> None:
        """Nothing is left to do: container and job were there before the first instruction."""


class ContainedProcess:
    """A process in its container and job."""

    def __init__(
        self, calls: Calls, started: Started, work: Path, name: str, sid: str, granted: Sequence[Path]
    ) -> None:
        """Take what was started, and what is to be taken back in the end."""
        self.stdin: BinaryIO = started.stdin
        self.stdout: BinaryIO = started.stdout
        self._calls, self._started, self._work = calls, started, work
        self._name, self._sid, self._granted = name, sid, granted
        self._container_folder = calls.container_folder(sid)
        self._ended, self._lock = False, threading.Lock()

    @property
    def pid(self) -> int:
        """The process."""
        return self._started.pid

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        with self._lock:
            return not self._ended and self._calls.is_alive(self._started)

    def interrupt(self) -> None:
        """Have Python raise KeyboardInterrupt; it may not read, so that nobody waits for that."""
        threading.Thread(target=self._write, args=(INTERRUPT,), daemon=True).start()

    def pause(self) -> None:
        """Let nothing of it run."""
        with suppress(psutil.Error, OSError):
            psutil.Process(self.pid).suspend()

    def resume(self) -> None:
        """Let it run again."""
        with suppress(psutil.Error, OSError):
            psutil.Process(self.pid).resume()

    def excess(self) -> str:
        """Return what it takes too much of: files without a name count as bytes that were written."""
        try:
            threads = psutil.Process(self.pid).num_threads()
            with self._lock:
                written = 0 if self._ended else self._calls.bytes_written(self._started)
        except (psutil.Error, OSError):
            return ""
        if written > MOST_WRITTEN:
            return TOO_MUCH
        folders = (self._work, self._container_folder)
        return next(filter(None, (excess(threads, 0, folder) for folder in folders if folder is not None)), "")

    def kill(self) -> None:
        """End it and wait."""
        with self._lock:
            if not self._ended:
                self._calls.kill(self._started)

    def end(self) -> None:
        """End it, and take back what was granted."""
        self.kill()
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._calls.close(self._started)
        for pipe in (self.stdin, self.stdout):
            with suppress(OSError):
                pipe.close()
        _take_back(self._calls, self._name, self._sid, self._granted)

    def _write(self, request: bytes) -> None:
        with suppress(OSError, ValueError):
            self.stdin.write(request)
            self.stdin.flush()


def container_name(work: Path) -> str:
    """Return a container's name: another one for each folder, so that none has what was granted to another's."""
    return f"Zhiyin.Python.{hashlib.sha256(str(work).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def grants(sid: str, work: Path, readable: Sequence[Path]) -> list[list[str]]:
    """Return the commands that give a container its folder to write, and places to read.

    A star in front of a SID tells icacls that it is none of a name; what begins low may be written by what is low.
    """
    program = str(_icacls())
    commands = [
        [program, str(work), "/grant", f"*{sid}:(OI)(CI)(M)", "/Q"],
        [program, str(work), "/setintegritylevel", "(OI)(CI)L", "/Q"],
    ]
    for path in readable:
        rights = "(OI)(CI)(RX)" if path.is_dir() else "(R)"
        commands.append([program, str(path), "/grant", f"*{sid}:{rights}", "/Q"])
    return commands


def removals(sid: str, readable: Sequence[Path]) -> list[list[str]]:
    """Return the commands that take back what a container could read."""
    return [[str(_icacls()), str(path), "/remove:g", f"*{sid}", "/Q"] for path in readable]


def python_grants(places: Sequence[Path]) -> list[tuple[list[str], list[str]]]:
    """Return two commands for each folder: one that lists it where all containers may read it, and one that lets them."""
    program = str(_icacls())
    return [
        (
            [program, str(path), "/findsid", f"*{_ALL_CONTAINERS}"],
            [program, str(path), "/grant", f"*{_ALL_CONTAINERS}:(OI)(CI)(RX)", "/Q"],
        )
        for path in places
    ]


def own_program(command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return a command without the launcher of a virtual environment, which would start Python as a second process.

    As multiprocessing does: Python learns from a variable which environment it is in.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    if command[0] != sys.executable or base == sys.executable:
        return list(command), {}
    return [base, *command[1:]], {"__PYVENV_LAUNCHER__": sys.executable}


def _system_variables(work: Path) -> dict[str, str]:
    """Return what Windows' own libraries need."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "SYSTEMDRIVE") if name in os.environ}
    return {**kept, "TEMP": str(work), "TMP": str(work), "USERPROFILE": str(work), "LOCALAPPDATA": str(work)}


@cache
def _let_containers_read_python() -> None:
    """Grant Python's own folders where they are not, as in a user's own folders they are not; raises OSError."""
    for look, grant in python_grants(own_places()):
        if grant[1] not in _run(look):
            _run(grant)


def _take_back(calls: Calls, name: str, sid: str, granted: Sequence[Path]) -> None:
    for removal in removals(sid, granted):
        with suppress(OSError):
            _run(removal)
    calls.remove_container(name)


def _icacls() -> Path:
    """Return the system's own program, not one that lies on the search path."""
    return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "icacls.exe")


def _run(command: Sequence[str]) -> str:
    """Run a program of the system and return what it printed; raises OSError where it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="oem" if sys.platform == "win32" else "utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
            creationflags=_CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} took too long") from error
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout
