"""Resource use of a model's Python process, measured from outside: its threads, and the disk in and beside its folder.

Files that have no name any more take disk as long as they are open or mapped; folders count as files do.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_LARGEST_FOLDER, _MOST_FILES, _DEEPEST = 512 << 20, 5_000, 32
_MOST_THREADS = 256
_MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) .* \(deleted\)")

TOO_MUCH = "It wrote more than its folder may hold and was ended."
TOO_MANY = "It began more threads than it may have and was ended."
HIDDEN = "It hid what it holds and was ended."


def excess(process: int, work: Path) -> str:
    """Return what a process takes too much of, as a sentence for the model; "": nothing, or it is gone."""
    try:
        if len(list(Path(f"/proc/{process}/task").iterdir())) > _MOST_THREADS:
            return TOO_MANY
        held = _without_name(process, work)
    except PermissionError:
        return HIDDEN
    except OSError:
        return ""
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
            size += entry.stat(follow_symlinks=False).st_blocks * 512
        if len(Path(entry.path).parts) - above > _DEEPEST:
            return True
    return size > _LARGEST_FOLDER or count >= _MOST_FILES


def _without_name(process: int, work: Path) -> int:
    """Return the bytes of the files that a process holds and that are in no folder any more; raises OSError."""
    held: dict[tuple[int, int], int] = {}
    for path in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                held[status.st_dev, status.st_ino] = status.st_blocks * 512
    with Path(f"/proc/{process}/maps").open(encoding="utf-8", errors="replace") as maps:
        return sum(held.values()) + sum(_mapped(maps, str(work.resolve())))


def _mapped(maps: Iterable[str], work: str) -> Iterator[int]:
    for line in maps:
        if f" {work}/" in line and (match := _MAPPED.match(line)) is not None:
            yield int(match[2], 16) - int(match[1], 16)
