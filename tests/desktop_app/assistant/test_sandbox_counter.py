"""The attacks on the sandbox, without it: each gets what it wants, so that the test of the sandbox can fail.

Not run are those that would hurt the computer or the tests themselves; those that a computer does not allow anybody (a container
without a network, a user without rights) are named with their reason.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from desktop_app.assistant.sandbox import python_kernel
from desktop_app.assistant.sandbox.python_kernel import PythonKernel
from desktop_app.assistant.sandbox.trial import is_enforced
from tests.desktop_app.assistant.test_sandbox import ATTACKS, NUMBERS

HARMFUL = {
    "fork bomb": "fills the table of processes",
    "memory": "takes 32 GB",
    "memory in parts": "takes all memory there is",
    "locked memory": "takes memory from all others",
    "clock": "sets the computer's clock",
    "stop the computer": "does as it says",
    "mount": "changes the tree of files",
    "chroot": "cuts the process off from Python",
    "interpreter": "changes Python itself",
    "terminal": "waits for a key",
    "large file": "takes the disk where it has no holes",
    "a terabyte put aside": "takes the disk",
    "stop itself": "does as it says",
    "attributes of a file": "leaves a file that nobody can remove",
    "attributes of what was attached": "leaves a file that nobody can remove",
    "first to be ended": "says which process goes where memory is short",
    "raise a limit of the app": "is meant for the test's own process",
}
NEEDS_MORE = {
    "attributes by another call": "a file system with attributes",
    "a tree with attributes": "rights of an administrator, and a kernel from 6.15 on",
    "a call of a later kernel": "a later kernel",
    "map of users": "a namespace of its own",
    "ciphers of the kernel": "a kernel with ciphers",
    "hold from a limit": "control groups",
    "far into a file": "a file system with holes that are as large",
    "a folder that becomes a link": "luck",
    "name": "a network",
    "packet": "rights of an administrator",
    "raw": "rights of an administrator",
    "vsock": "a virtual machine",
    "ipv6": "IPv6",
    "io_uring": "a kernel that has it on",
    "shadow": "rights of an administrator",
    "app environment": "the same user",
    "device": "rights of an administrator, and a kernel that shows memory",
    "kernel log": "rights of an administrator",
    "device node": "rights of an administrator",
    "change an owner": "rights of an administrator",
    "attribute": "a file system with attributes",
    "ptrace": "a system that lets processes be traced",
    "namespace": "rights of an administrator",
    "other namespace": "a namespace to enter",
    "priority": "rights of an administrator",
    "handle": "a file system with handles",
    "kernel program": "rights of an administrator",
    "own environment": "a variable that was handed down: ours is empty from the start",
    "loosen the filter": "a filter that is there",
    "processes": "a /proc",
    "keys": "a kernel with keys",
    "other numbers": "a kernel with the calls of x32",
    "dbus": "a bus of the system",
}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_enforced(), reason="this kernel has no Landlock")]


TRIED = [name for name in ATTACKS if name not in HARMFUL]


@pytest.mark.parametrize("name", TRIED)
def test_the_attack_succeeds_without_the_sandbox(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [sys.executable, "-m", "tests.support.free_kernel"]
    monkeypatch.setattr(python_kernel, "own_command", lambda _: free)
    succeeded = succeeds(name, tmp_path)
    if not succeeded and name in NEEDS_MORE:
        pytest.skip(f"it needs {NEEDS_MORE[name]}")
    assert succeeded


def test_enough_attacks_succeed_on_every_computer() -> None:
    assert not {*HARMFUL, *NEEDS_MORE} - set(ATTACKS)
    assert len(set(TRIED) - set(NEEDS_MORE)) >= 60


def succeeds(name: str, root: Path) -> bool:
    """Let an attack do what it likes in a place of its own."""
    for folder in ("work", "outside", "data"):
        (root / folder).mkdir(parents=True)
    secret = root / "secret.txt"
    secret.write_text("secret", "utf-8")
    attached = root / "attached.txt"
    attached.write_text("attached", "utf-8")
    before = state(secret)
    with (
        subprocess.Popen(["sleep", "600"]) as victim,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        unix.bind(os.path.relpath(root / "s"))
        unix.listen()
        abstract.bind(f"\0{root.name}")
        abstract.listen()
        kernel = PythonKernel(root / "work")
        names = {
            "port": server.getsockname()[1],
            "unix": root / "s",
            "abstract": root.name,
            "secret": secret,
            "attached": attached,
            "outside": root / "outside",
            "data": root / "data",
            "home": Path.home(),
            "app": victim.pid,
            **NUMBERS.get(os.uname().machine, {}),
        }
        text = kernel.run(ATTACKS[name].format(**names), threading.Event(), lambda text: None, 10).text
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        kernel.close()
        server.setblocking(False)
        with suppress(BlockingIOError):
            server.accept()[0].close()
            text += "BREACH"
    got = "BREACH" in text or state(secret) != before or any((root / "outside").iterdir()) or "ended by itself" in text
    Path("/dev/shm/zhiyin-attack").unlink(missing_ok=True)  # noqa: S108
    return got


def state(secret: Path) -> object:
    """Return what an attack may change of a file."""
    if not secret.exists():
        return None
    found = secret.stat()
    return found.st_mode, found.st_uid, found.st_mtime, secret.read_bytes(), os.listxattr(secret)
