"""The system's bin: files that are removed can be had back until the user empties it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from converter.hub.cleanup import delete_files
from models.errors import ZhiyinError
from models.system_reasons import system_reason


class NoBin(ZhiyinError):
    """There is no bin where the file lies, or it does not take the file."""

    default_code = "no-bin"


def into_bin(files: Iterable[Path]) -> None:
    """Move files into the bin; links, which hold nothing, are deleted.

    Raises:
        NoBin: the system has none that takes them; those that are left stay.
        BadFile: a link cannot be deleted.
    """
    send2trash = _mover()
    for file in files:
        if file.is_symlink():
            delete_files([file])
            continue
        try:
            send2trash(file)
        except OSError as error:
            raise NoBin(
                "{path} cannot be moved to the system's bin ({reason}) and stays; `zhiyin models remove --delete` deletes it for "
                "good.",
                path=file,
                reason=system_reason(error),
            ) from error


def _mover() -> Callable[[Path], object]:
    """Load what moves a file into the bin."""
    named = os.environ.get("XDG_DATA_HOME")
    if named is not None and not Path(named).is_absolute():  # counts as none, by the specification that defines it
        del os.environ["XDG_DATA_HOME"]
    try:
        import send2trash  # nothing that starts needs it; it reads the variable as it is loaded
    finally:
        if named is not None:
            os.environ["XDG_DATA_HOME"] = named
    mover: Callable[[Path], object] = send2trash.send2trash
    return mover
