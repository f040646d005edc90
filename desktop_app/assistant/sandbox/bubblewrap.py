"""bubblewrap: the same sandbox where the kernel has no Landlock: namespaces with nothing in them but what Python needs.

Of the computer's files only Python's own, the granted ones and the work folder are there; the network, processes, users and
shared memory are the sandbox's own. What runs inside refuses system calls as everywhere (`seccomp`).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

_TRIAL_SECONDS = 10
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/zero")


@cache
def program() -> str | None:
    """Return bubblewrap's path where it is there and the system lets it work."""
    program_path = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if program_path is None:
        return None
    try:
        trial = subprocess.run(
            [program_path, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program_path if trial.returncode == 0 else None


def wrapped(command: Sequence[str], work: Path, readable: Iterable[Path]) -> list[str]:
    """Return a command that runs inside, with these places to read and one folder to write; it ends with its parent."""
    places = [part for path in readable for part in ("--ro-bind-try", str(path), str(path))]
    devices = [part for path in _DEVICES for part in ("--dev-bind-try", path, path)]
    inside = ["--bind", str(work), str(work), "--remount-ro", "/", "--chdir", str(work)]
    ends = ["--unshare-all", "--die-with-parent", "--new-session"]
    return [program() or "bwrap", *ends, *places, *devices, *inside, "--", *command]
