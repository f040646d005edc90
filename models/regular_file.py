"""Opens files that somebody names. A pipe or a device is no model: to open one may wait forever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from models.errors import BadFile

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a file for reading, without waiting for anything.

    Raises:
        BadFile: it is a pipe, a device or a socket, or a link to one.
        OSError: it is missing, a folder, or may not be read.
    """
    _check(path, path.stat())  # before it is opened, which some devices act on
    descriptor = os.open(path, _FLAGS)
    try:
        _check(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb", buffering)
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """Return what a file holds, as `open_regular` opens it."""
    with open_regular(path) as file:
        return file.read()


def is_there(path: Path) -> bool:
    """Tell whether a name that a file gives is that of a file; to ask for some (too long ones) is an error by itself."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise BadFile("{path} is a pipe or a device, not a file; choose a file.", path=path)
