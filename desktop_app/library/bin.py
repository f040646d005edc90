"""The system's bin: files that are removed can be had back until the user empties it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from converter.hub.cleanup import delete_files
from models.errors import BadFile, ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason


class NoBin(ZhiyinError):
    """There is no bin where the file lies, or it does not take the file."""

    default_code = "no-bin"


def into_bin(files: Iterable[Path]) -> None:
    """Move files into the bin; links, which hold nothing, are deleted.

    Raises:
        NoBin: the system has none that takes them; those that are left stay.
        BadFile: a file, or a link, cannot be deleted either.
    """
    send2trash = _mover()
    for file in files:
        if file.is_symlink():
            delete_files([file])
            continue
        before = set(_notes(file))
        try:
            send2trash(file)
        except OSError as error:
            raise _refused(file, error) from error
        finally:
            _take_back(file, before)


def _refused(file: Path, error: OSError) -> ZhiyinError:
    """Return the sentence for a file that no bin takes; deleting it is a way out only where the folder lets anything go."""
    reason: Sentence | str = system_reason(error)
    if error.errno and isinstance(reason, str):  # in the library's words, which name the path once more
        reason = system_reason(OSError(error.errno, os.strerror(error.errno)))
    if not os.access(file.parent, os.W_OK):
        return BadFile(
            "{path} cannot be removed ({reason}) and stays: nothing can be taken out of {folder}; make that disk or folder "
            "writable first.",
            path=file,
            reason=reason,
            folder=file.parent,
        )
    return NoBin(
        "{path} cannot be moved to the system's bin ({reason}) and stays; `zhiyin models remove --delete` deletes it for "
        "good.",
        path=file,
        reason=reason,
    )


def _take_back(file: Path, before: set[Path]) -> None:
    """Remove what a move that failed half-way wrote into a bin: the note of a file that is not there, and the file's copy.

    Where the bin of the file's own disk fails, the library goes on with the user's; then the first note is left alone.
    """
    stays = os.path.lexists(file)
    for note in set(_notes(file)) - before:
        held = note.parent.parent / "files" / note.stem
        with suppress(OSError):
            if stays and os.path.lexists(held):
                held.unlink()
            if not os.path.lexists(held):
                note.unlink()


def _notes(file: Path) -> Iterator[Path]:
    """Yield the notes about a file in the bins that could take it (freedesktop.org's trash specification 1.0)."""
    if sys.platform != "linux":
        return  # macOS and Windows move by a call of the system, which does it whole
    for bin_folder, top in _bins(file):
        for note in (bin_folder / "info").glob("*.trashinfo"):
            if not note.name.startswith(file.stem):
                continue
            with suppress(OSError, UnicodeDecodeError):
                named = (line[5:] for line in note.read_text("utf-8").splitlines() if line.startswith("Path="))
                if any(Path(top, unquote(path)).absolute() == file.absolute() for path in named):
                    yield note


def _bins(file: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each bin's folder, and the folder that paths in its notes begin at."""
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    share = named if named.is_absolute() else Path.home() / ".local" / "share"
    yield share / "Trash", share
    top = next(folder for folder in file.absolute().parents if os.path.ismount(folder))
    yield top / ".Trash" / str(os.getuid()), top
    yield top / f".Trash-{os.getuid()}", top


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
