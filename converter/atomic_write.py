"""Files that appear whole or not at all, and the one rule which files are unfinished.

A target is written under its lock, `.NAME.lock` beside it, into `.NAME.RANDOM.part`, and gets its name by a rename. The system
releases the lock when the process ends, however it ends: an unfinished file whose lock nobody holds is a leftover, and whoever
has the lock removes it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from models.errors import ZhiyinError

if TYPE_CHECKING:
    from filelock import BaseFileLock

T = TypeVar("T")

_PART, _LOCK = ".part", ".lock"
_UNFINISHED = re.compile(r"\.(?P<target>.+)\.[a-z0-9_]{8}\.part|\.(?P<of_0_1>.+\.gguf)\.part", re.DOTALL)
"""A random name, or one of Zhiyin 0.1. A download's `.NAME.DIGEST.part` is none: the next try resumes it."""
_PATIENCE = 20.0
"""Seconds to wait for a small file; whoever has it is done in milliseconds."""
_MOMENT = 1.0
"""Seconds to wait for a large file: somebody may be removing leftovers of it; whoever writes it takes longer."""
_POLL = 0.01
_PRIVATE, _SHARED = 0o600, 0o666
"""Permissions of a new file, of which the system takes away what the user's umask says."""
_NOT_SUPPORTED = tuple(
    getattr(errno, name) for name in ("EINVAL", "ENOSYS", "ENOTSUP", "ENOLCK") if hasattr(errno, name)
)
"""What file systems answer that cannot do what is asked: flush, or lock."""


def is_unfinished(path: Path) -> bool:
    """Tell whether a path is that of an unfinished file, or leads into an unfinished folder."""
    return any(name.startswith(".") and name.endswith(_PART) for name in path.parts)


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """Lend a new folder beside a target, to write it in under its lock; what is left in it goes with it.

    Raises:
        ZhiyinError: another process is writing this target.
        OSError: the folder of the target cannot be written.
    """
    import tempfile

    from filelock import Timeout

    remove_leftovers(target.parent)
    try:
        with _locked(target, _MOMENT):
            folder = Path(tempfile.mkdtemp(_PART, f".{target.name}.", target.parent))
            try:
                yield folder
            finally:
                _remove(folder)  # where there are no locks, nobody else does
    except Timeout as error:
        raise ZhiyinError(
            "{path} is being written by another Zhiyin; wait for it, or choose another name.", path=target, code="busy"
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have a small file to oneself from reading to writing it (`write_locked`), so that no change of another process is lost.

    Raises:
        OSError: the folder cannot be written, or another process keeps the file.
    """
    from filelock import Timeout

    try:
        with _locked(path, _PATIENCE):
            yield
    except Timeout as error:
        raise OSError(errno.EBUSY, "another program keeps it locked", str(path)) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a small file of text that its owner alone may read, whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the old file is untouched and nothing else is left.
    """
    with locked(path):
        write_locked(path, text)


def write_locked(path: Path, text: str) -> None:
    """Do what `write_atomically` does, by a caller who has the file's lock."""
    data = text.encode()
    _write(path, lambda stream: stream.write(data), _PRIVATE)


def write_file(path: Path, write: Callable[[BinaryIO], T], *, private: bool = False) -> T:
    """Write a file of any size whole or not at all.

    Args:
        path: the file.
        write: writes the content; what it returns is returned.
        private: its owner alone may read the file.

    Raises:
        OSError: as `write_atomically`.
    """
    with locked(path):
        return _write(path, write, _PRIVATE if private else _SHARED)


def _write(path: Path, write: Callable[[BinaryIO], T], mode: int) -> T:
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}{_PART}")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            result = write(stream)
            stream.flush()
            sync(stream.fileno())
        replace_file(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return result


def sync(descriptor: int) -> None:
    """Flush a file to the disk, where its file system knows how."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def replace_file(path: Path, target: Path) -> None:
    """Rename a file, also over an earlier one where the file system renames over none."""
    try:
        path.replace(target)
    except FileExistsError:
        earlier = path.with_name(f"{path.name}.earlier")
        target.replace(earlier)
        try:
            path.replace(target)
        except OSError:
            earlier.replace(target)
            raise


def remove_leftovers(folder: Path) -> None:
    """Remove what dead processes left unfinished in a folder; what the system refuses stays."""
    with suppress(OSError):
        names = {path.name for path in folder.iterdir() if path.name.startswith(".")}
        for target in {target for name in names if (target := _left_target(name, names))}:
            with suppress(OSError), _locked(folder / target, 0):
                pass  # having the lock removes the leftovers


def _left_target(name: str, names: set[str]) -> str:
    """Return the target that a hidden entry of a folder was to become, "": it is none of ours."""
    match = _UNFINISHED.fullmatch(name)
    if match is None:
        return name[1 : -len(_LOCK)] if name.endswith(f".gguf{_LOCK}") else ""
    return match["of_0_1"] or (match["target"] if _lock_name(match["target"]) in names else "")


@contextmanager
def _locked(target: Path, patience: float) -> Iterator[None]:
    """Hold a target's lock; what is there unfinished of it is a leftover.

    The lock's file is removed while the lock is held: whoever waits for it sees that, and makes a new one.
    """
    from filelock import FileLock  # takes a while, and who only reads needs none

    target.parent.stat()  # filelock would make a folder that is missing, such as one whose name was mistyped
    lock = FileLock(target.with_name(_lock_name(target.name)), timeout=patience, poll_interval=_POLL)
    if not _acquired(lock):
        yield  # two processes still share no names; whose the leftovers are, nobody can tell
        return
    try:
        _remove_unfinished(target)
        yield
    finally:
        try:
            _leave(target, lock)
        except BaseException:  # Ctrl+C a second time, or just now
            _leave(target, lock)
            raise


def _acquired(lock: BaseFileLock) -> bool:
    """Take a lock; False: the file system has none."""
    from filelock import Timeout

    try:
        lock.acquire()
    except Timeout as error:
        if not os.path.lexists(lock.lock_file):  # it cannot be made: some systems say so by "no such file"
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), lock.lock_file) from error
        raise
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        Path(lock.lock_file).unlink(missing_ok=True)
        return False
    return True


def _remove_unfinished(target: Path) -> None:
    for path in list(target.parent.iterdir()):
        match = _UNFINISHED.fullmatch(path.name)
        if match is not None and target.name in (match["target"], match["of_0_1"]):
            _remove(path)


def _leave(target: Path, lock: BaseFileLock) -> None:
    with suppress(OSError):  # the folder is gone, or Windows, which removes the lock's file when it is released
        _remove_unfinished(target)
        Path(lock.lock_file).unlink()
    lock.release()


def _lock_name(target: str) -> str:
    return f".{target}{_LOCK}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
