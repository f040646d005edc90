"""The operating system's errors as sentences: disk full, not permitted, read-only, name too long, input/output error."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from models.errors import BadFile, ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason

_OTHER_DISK = Sentence("set ZHIYIN_HOME to a folder on another disk")
OTHER_PLACE = Sentence("choose another place")
"""What helps where the user named the file."""


def as_zhiyin_error(error: Exception) -> ZhiyinError:
    """Return an error for the user: what the system refuses, or a fault of the program where nobody foresaw it."""
    if isinstance(error, ZhiyinError):
        return error
    if isinstance(error, MemoryError):
        return ZhiyinError(
            "There is too little free memory for this; close other programs and try again.", code="out-of-memory"
        )
    if isinstance(error, OSError):
        return refused(error)
    return ZhiyinError(
        "Zhiyin made a mistake ({reason}); try again, and report it if it happens again.",
        code="internal",
        reason=repr(error),
    )


def cannot_write(path: Path, error: OSError, elsewhere: Sentence = _OTHER_DISK) -> BadFile:
    """Return the error for what the system raised when something was written.

    Args:
        path: a file or folder, taken where the error names none itself.
        error: what it raised.
        elsewhere: how to write to another place; `OTHER_PLACE` for a file that the user named.
    """
    explain = _WRITING.get(error.errno or 0) or _EITHER.get(error.errno or 0, _unwritable)
    named = None if elsewhere is OTHER_PLACE else _named(error)  # not that of the unfinished file beside it
    return explain(named or path, system_reason(error), elsewhere)


def refused(error: OSError) -> ZhiyinError:
    """Return the error for what the system raised when something was read or written, nobody knows which."""
    path, reason = _named(error), system_reason(error)
    explain = _WRITING.get(error.errno or 0)
    if path is not None:
        return (explain or _unusable)(path, reason, _OTHER_DISK)
    if explain is _full:
        return ZhiyinError(
            "The disk is full ({reason}); free some room, then try again.", code="no-room", reason=reason
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ZhiyinError(
            "Too many files are open here ({reason}); close other programs, or allow more (`ulimit -n`).",
            code="disk",
            reason=reason,
        )
    if error.errno == errno.ENOMEM:
        return as_zhiyin_error(MemoryError())
    return ZhiyinError("The system refused to read or write ({reason}).", code="disk", reason=reason)


def _named(error: OSError) -> Path | None:
    return Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) and error.filename else None


def _unwritable(path: Path, reason: Sentence | str, _elsewhere: Sentence) -> BadFile:
    return BadFile("{path} cannot be written: {reason}.", code="disk", path=path, reason=reason)


def _unusable(path: Path, reason: Sentence | str, _elsewhere: Sentence) -> BadFile:
    return BadFile("{path} cannot be read or written: {reason}.", code="disk", path=path, reason=reason)


def _full(path: Path, _: Sentence | str, elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be written, because the disk is full; free some room, or {elsewhere}.",
        code="no-room",
        path=path,
        elsewhere=elsewhere,
    )


def _forbidden(path: Path, reason: Sentence | str, elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be written ({reason}); allow it, or {elsewhere}.",
        code="not-allowed",
        path=path,
        reason=reason,
        elsewhere=elsewhere,
    )


def _read_only(path: Path, _: Sentence | str, elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be written, because its disk is read-only; {elsewhere}.",
        code="not-allowed",
        path=path,
        elsewhere=elsewhere,
    )


def _too_large(path: Path, _: Sentence | str, elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be written, because its disk takes no files of that size; {elsewhere}.",
        code="no-room",
        path=path,
        elsewhere=elsewhere,
    )


def _long_name(path: Path, _: Sentence | str, _elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be used, because its disk takes no names of that length; choose a shorter one.",
        code="disk",
        path=path,
    )


def _many_files(path: Path, _: Sentence | str, _elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be opened, because too many files are open here; close other programs.", code="disk", path=path
    )


def _faulty(path: Path, _: Sentence | str, elsewhere: Sentence) -> BadFile:
    return BadFile(
        "{path} cannot be written, because the disk reports a fault; check it, or {elsewhere}.",
        code="disk",
        path=path,
        elsewhere=elsewhere,
    )


_WRITING: dict[int, Callable[[Path, Sentence | str, Sentence], BadFile]] = {
    errno.ENOSPC: _full,
    getattr(errno, "EDQUOT", errno.ENOSPC): _full,
    errno.EROFS: _read_only,
    errno.EFBIG: _too_large,
    errno.ENAMETOOLONG: _long_name,
    errno.EMFILE: _many_files,
}
"""What the system says of writing alone, or says clearly enough."""
_EITHER: dict[int, Callable[[Path, Sentence | str, Sentence], BadFile]] = {
    errno.EACCES: _forbidden,
    errno.EPERM: _forbidden,
    errno.EIO: _faulty,
}
"""What it says of reading too."""
