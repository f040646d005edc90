"""One process owns a data folder: the system's lock on a file, which ends with the process however that ends.

The window takes it before it is shown, and filelock takes longer to import than Qt's network: where the system has flock, it is
asked here. filelock uses the same file in the same way, and knows what to do elsewhere.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from desktop_app.paths import unusable_folder

_NAME = "zhiyin.lock"
_TAKEN = (errno.EACCES, errno.EAGAIN)
"""What the system says where another process has the lock."""


class FolderLock:
    """A folder that this process owns until all that took it have released it."""

    def __init__(self, release: Callable[[], object]) -> None:
        """Made by `own`."""
        self.holders = 0
        self._let_go = release

    def release(self) -> None:
        """Give up one of the holds; the last one lets another process have the folder, and further ones do nothing."""
        with _changing:
            if self.holders == 1:
                self._let_go()
            self.holders = max(self.holders - 1, 0)


_owned: dict[Path, FolderLock] = {}
_changing = threading.Lock()


def own(folder: Path) -> FolderLock | None:
    """Take a folder for this process, which may take it several times over; release what is returned as often.

    Returns:
        the lock, or None: another process owns the folder.

    Raises:
        ZhiyinError: the folder cannot be written.
    """
    path = folder.resolve() / _NAME
    with _changing:
        lock = _owned.get(path)
        if lock is None or lock.holders == 0:
            try:
                release = _take_with_filelock(path) if sys.platform == "win32" else _take(path)
            except OSError as error:
                raise unusable_folder(folder, error) from error
            if release is None:
                return None
            lock = _owned[path] = FolderLock(release)
        lock.holders += 1
    return lock


def _take(path: Path) -> Callable[[], object] | None:
    """Return what gives the system's lock up again, or None: another process has it."""
    import fcntl

    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        is_new = os.fstat(file).st_size == 0
        os.close(file)
        if error.errno in _TAKEN:
            return None
        if error.errno != errno.ENOSYS:
            raise
        if is_new:
            path.unlink()  # some network drives: filelock's own way there is a file that nobody else has made
        return _take_with_filelock(path)
    return partial(os.close, file)


def _take_with_filelock(path: Path) -> Callable[[], object] | None:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock.release
