"""Starting processes of our own: in isolated mode, with pipes that nothing else writes to.

Python puts the working folder (`-m`, `-c`), PYTHONPATH and the user's own packages in front of the installed modules. The working
folder may be a downloaded checkpoint, so that none of our processes may import from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, BinaryIO


def own_command(mode: str) -> list[str]:
    """Return the command line that starts this application as `zhiyin MODE`, whatever folder or environment it is started in."""
    if getattr(sys, "frozen", False):
        return [sys.executable, mode]
    return [sys.executable, *_python_flags(), "-m", "desktop_app.cli", mode]


def restore_library_path() -> None:
    """Let the system's programs that a bundle starts (a browser, dialogs, MCP servers) find the system's own libraries.

    The bundle's program was started with a search path of its own, which this process has read and no child should.
    """
    original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    os.environ.pop("LD_LIBRARY_PATH", None)
    if original:
        os.environ["LD_LIBRARY_PATH"] = original


def start(
    mode: str, errors: IO[bytes] | int | None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start this application as `zhiyin MODE` with pipes for its standard input and output; it ends with this process.

    Args:
        mode: `--engine`, `--worker`, `--renderer`, `--extractor`, `--lend` or `--server`.
        errors: takes its standard error; None: this process's own.
        environment: variables besides this process's own.

    Raises:
        OSError: the system refuses to start it.
    """
    if sys.platform == "win32":
        return _popen(mode, os.getpid(), errors, environment or {})
    ends, held = os.pipe()
    try:
        process = _popen(mode, ends, errors, environment or {})
    except OSError:
        os.close(held)
        raise
    finally:
        os.close(ends)
    weakref.finalize(process, os.close, held)  # or the system closes it, when this process ends
    return process


def _popen(
    mode: str, link: int, errors: IO[bytes] | int | None, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start the process; `link` is what its `lifetime.end_with_parent` needs.

    Where ggml ends it, no debugger is attached before: that takes ten seconds and more, with our pipes held open. A bundle's
    program sets its search path anew, which `restore_library_path` took away.
    """
    return subprocess.Popen(
        [*own_command(mode), str(link)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYINSTALLER_RESET_ENVIRONMENT": "1", **environment},
        pass_fds=() if sys.platform == "win32" else (link,),
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


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process at once, whatever it does, and close the pipes to it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
