"""What a disk refuses, each by what the system says it is: full, not allowed, read-only, a name too long, a fault."""

from __future__ import annotations

import errno
from pathlib import Path

from models.errors import BadFile
from models.sentence import Sentence

_ELSEWHERE = Sentence("set ZHIYIN_HOME to a folder on another disk")


def cannot_write(path: Path, error: OSError) -> BadFile:
    """Return the sentence for what the system raised when something was written.

    Args:
        path: a file or folder, taken where the error names none itself.
        error: what it raised.
    """
    path = Path(error.filename) if isinstance(error.filename, str) and error.filename else path
    code, template = _TEMPLATES.get(error.errno or 0, ("disk", "{path} cannot be written: {reason}."))
    return BadFile(template, code=code, path=path, reason=error.strerror or str(error), elsewhere=_ELSEWHERE)


_FULL = ("no-room", "{path} cannot be written, because the disk is full; free some room, or {elsewhere}.")
_FORBIDDEN = ("not-allowed", "{path} cannot be written ({reason}); allow it, or {elsewhere}.")
_TEMPLATES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: _FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: ("not-allowed", "{path} cannot be written, because its disk is read-only; {elsewhere}."),
    errno.EFBIG: ("no-room", "{path} cannot be written, because its disk takes no files of that size; {elsewhere}."),
    errno.ENAMETOOLONG: (
        "disk",
        "{path} cannot be written, because its disk takes no names of that length; {elsewhere}.",
    ),
    errno.EMFILE: ("disk", "{path} cannot be opened, because too many files are open here; close other programs."),
    errno.EIO: ("disk", "{path} cannot be written, because the disk reports a fault; check it, or {elsewhere}."),
}
