"""The first thing that a confined Python does: it tries what it must not be able to, and only where all is refused it is used.

What a system says that it enforces is not believed: an emulated kernel, a policy of the computer's owner or a mistake of ours may
have it do less. One trial counts for the process of the application.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from desktop_app.assistant.sandbox.confinement import confinement
from desktop_app.assistant.sandbox.python_kernel import PythonKernel
from models.errors import ZhiyinError
from models.sentence import Sentence

_SECONDS = 60.0
_MOST_FILES = 5
"""Of the user's own folder."""

# Each line of ATTEMPTS is a name and what it does; what raises was refused. The file in the work folder has to be written.
_PROGRAM = """
import json, os, socket, subprocess, sys

port, application, secret, outside, files = json.loads({facts!r})


def connect():
    socket.create_connection(("127.0.0.1", port), 2).close()


def read():
    open(secret, "rb").read()


def read_home():
    for name in files:
        try:
            open(name, "rb").read(1)
            return
        except OSError:
            pass
    raise PermissionError


def write():
    open(outside, "w").write("x")


def start():
    subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()


def fork():
    if os.fork() == 0:
        os._exit(0)


def signal():
    if os.name == "nt":
        import ctypes
        if not ctypes.WinDLL("kernel32").OpenProcess(1, False, application):
            raise PermissionError
    else:
        os.kill(application, 0)


def tried(action):
    try:
        action()
    except BaseException:
        return False
    return True


open("trial.txt", "w").write("x")
actions = {{"network": connect, "read": read, "home": read_home, "write": write, "start": start, "fork": fork, "signal": signal}}
print(json.dumps([name for name, action in actions.items() if tried(action)]))
"""
_WHAT = {
    "network": Sentence("connect to a server"),
    "read": Sentence("read other files"),
    "home": Sentence("read your files"),
    "write": Sentence("write elsewhere"),
    "start": Sentence("start programs"),
    "fork": Sentence("start processes"),
    "signal": Sentence("end this application"),
}


@dataclass(frozen=True)
class Outcome:
    """What a trial came to."""

    ran: bool
    """Python ran confined, and could write into its folder."""
    breaches: tuple[str, ...] = ()
    """What it could do and must not: keys of the attempts."""

    @property
    def holds(self) -> bool:
        """Whether the sandbox is one."""
        return self.ran and not self.breaches


_lock = threading.Lock()
_outcomes: list[Outcome] = []
"""Empty before the first trial, then the one outcome."""


def is_enforced() -> bool:
    """Tell whether this system holds Python to its folder; the first call tries it, as long as Python takes to start."""
    return outcome().holds


def outcome() -> Outcome:
    """Return what the trial came to."""
    with _lock:
        if not _outcomes:
            _outcomes.append(tried())
        return _outcomes[0]


def tried() -> Outcome:
    """Let a confined Python try what it must not be able to."""
    system = confinement()
    if system is None or not system.is_there():
        return Outcome(False)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="zhiyin-", ignore_cleanup_errors=True) as name,
            socket.create_server(("127.0.0.1", 0)) as server,
        ):
            return _tried(Path(name).resolve(), server)
    except (OSError, ZhiyinError):
        return Outcome(False)


def breaches() -> tuple[Sentence, ...]:
    """Return what a confined Python could do although it must not."""
    return tuple(_WHAT[name] for name in outcome().breaches)


def _tried(folder: Path, server: socket.socket) -> Outcome:
    secret, outside = folder / "secret.txt", folder / "outside.txt"
    secret.write_text("secret", "utf-8")
    facts = json.dumps([server.getsockname()[1], os.getpid(), str(secret), str(outside), _files_of_home()])
    kernel = PythonKernel(folder / "work")
    try:
        result = kernel.run(_PROGRAM.format(facts=facts), threading.Event(), lambda text: None, _SECONDS)
    finally:
        kernel.close()
    try:
        done = {name for name in json.loads(result.text) if name in _WHAT}
    except ValueError:
        return Outcome(False)
    if _was_contacted(server):
        done.add("network")
    if outside.exists():
        done.add("write")
    return Outcome((folder / "work" / "trial.txt").exists(), tuple(name for name in _WHAT if name in done))


def _files_of_home() -> list[str]:
    """Return some of the user's files that this process may read."""
    files: list[str] = []
    with suppress(OSError, RuntimeError), os.scandir(Path.home()) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file() and os.access(entry.path, os.R_OK):
                    files.append(entry.path)
            if len(files) >= _MOST_FILES:
                break
    return files


def _was_contacted(server: socket.socket) -> bool:
    server.setblocking(False)
    with suppress(OSError):
        server.accept()[0].close()
        return True
    return False
