"""Limits of what a model's Python process takes, looked at from outside: its threads, and the disk in and beside its folder.

Files that have no name any more take disk as long as they are open or mapped; folders count as files do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LARGEST_FOLDER, _MOST_FILES, _DEEPEST = 512 << 20, 5_000, 32
_MOST_THREADS = 256
MOST_WRITTEN = 8 * _LARGEST_FOLDER
"""Bytes in the life of a process, where a system counts them and does not show files without a name."""

TOO_MUCH = "It wrote more than its folder may hold and was ended."
TOO_MANY = "It began more threads than it may have and was ended."
TOO_LARGE = "It took more memory than it may have and was ended."
HIDDEN = "It hid what it holds and was ended."


def excess(threads: int, held: int, work: Path) -> str:
    """Return what a process takes too much of, as a sentence for the model; "": nothing.

    Args:
        threads: how many it has.
        held: bytes of files that are in no folder.
        work: its folder.
    """
    if threads > _MOST_THREADS:
        return TOO_MANY
    return TOO_MUCH if _is_overfull(work, held) else ""


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what lies below a folder, links not followed, at most so much and so deep as a work folder may be."""
    pending, left = [(str(folder), 0)], _MOST_FILES
    while pending:
        place, depth = pending.pop()
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                yield entry
                if depth < _DEEPEST and entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, depth + 1))


def _is_overfull(folder: Path, size: int) -> bool:
    """Tell whether a folder, with what is held beside it, is more than it may be."""
    count, above = 0, len(folder.parts)
    for entry in entries_of(folder):
        count += 1
        with suppress(OSError):
            size += _disk(entry.stat(follow_symlinks=False))
        if len(Path(entry.path).parts) - above > _DEEPEST:
            return True
    return size > _LARGEST_FOLDER or count >= _MOST_FILES


def _disk(status: os.stat_result) -> int:
    """Return the bytes that a file takes; Windows tells its length alone."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512
