"""One process owns a data folder: the system's lock on a file, which ends with the process however that ends."""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from desktop_app.paths import unusable_folder

_NAME = "zhiyin.lock"


def own(folder: Path) -> BaseFileLock | None:
    """Take a folder for this process, which may take it several times over; release what is returned.

    Returns:
        the lock, or None: another process owns the folder.

    Raises:
        ZhiyinError: the folder cannot be written.
    """
    lock = FileLock(folder.resolve() / _NAME, timeout=0, thread_local=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise unusable_folder(folder, error) from error
    return lock
