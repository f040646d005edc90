"""What a disk refuses, each by what the system says it is: full, not allowed, read-only, a name too long, a fault."""

from __future__ import annotations

import errno
from pathlib import Path

from models.errors import BadFile

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


def cannot_write(path: Path, error: OSError) -> BadFile:
    """Return the sentence for what the system raised when something was written.

    Args:
        path: a file or folder, taken where the error names none itself.
        error: what it raised.
    """
    path = Path(error.filename) if isinstance(error.filename, str) and error.filename else path
    code, template = _TEMPLATES.get(error.errno or 0, ("disk", "{path} cannot be written: {reason}."))
    if "{reason}" in template:
        return BadFile(template, code=code, path=path, reason=error.strerror or str(error))
    return BadFile(template, code=code, path=path)


_TEMPLATES: dict[int, tuple[str, str]] = {
    **dict.fromkeys(
        _FULL,
        (
            "no-room",
            "{path} cannot be written, because the disk is full; free some room, or set ZHIYIN_HOME to a folder on a "
            "larger disk.",
        ),
    ),
    **dict.fromkeys(
        _NOT_ALLOWED,
        (
            "not-allowed",
            "{path} cannot be written ({reason}); allow it, or set ZHIYIN_HOME to a folder that you may write to.",
        ),
    ),
    errno.EROFS: (
        "not-allowed",
        "{path} cannot be written, because its disk is read-only; set ZHIYIN_HOME to a folder on another disk.",
    ),
    errno.EFBIG: (
        "no-room",
        "{path} cannot be written, because its disk takes no files of that size; set ZHIYIN_HOME to a folder on another disk.",
    ),
    errno.ENAMETOOLONG: ("disk", "{path} cannot be written, because its disk takes no names of that length."),
    errno.EMFILE: ("disk", "{path} cannot be opened, because this process has too many open files; raise `ulimit -n`."),
    errno.EIO: ("disk", "{path} cannot be written, because the disk reports a fault; check the disk."),
}
