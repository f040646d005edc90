"""How the application starts processes of its own: in isolated mode, with pipes that nothing else writes to.

Python puts the working folder (`-m`, `-c`), PYTHONPATH and the user's own packages in front of the installed modules. The working
folder may be a downloaded checkpoint, so that none of our processes may import from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, BinaryIO


def own_command(mode: str) -> list[str]:
    """Return the command line that starts this application as `zhiyin MODE`, whatever folder or environment it is started in."""
    if getattr(sys, "frozen", False):
        return [sys.executable, mode]
    return [sys.executable, *_python_flags(), "-m", "desktop_app.cli", mode]


def start(mode: str, errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Start this application as `zhiyin MODE` with pipes for its standard input and output.

    Args:
        mode: `--engine` or `--worker`.
        errors: takes its standard error.

    Raises:
        OSError: the system refuses to start it.
    """
    return subprocess.Popen(
        own_command(mode),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def private_stdout() -> BinaryIO:
    """Return the real standard output for messages, and send everything that libraries print to standard error."""
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return messages


def _python_flags() -> list[str]:
    """Return `-I` and what isolated mode would not take from the environment: where bytecode is kept."""
    flags = ["-I"]
    if sys.dont_write_bytecode:
        flags.append("-B")
    if sys.pycache_prefix:
        flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return flags
