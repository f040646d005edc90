"""Finds the GGUF models in a folder, by their first bytes, whatever they are called.

What is hidden is nobody's model: unfinished files, recycle bins, caches. Links to folders are followed, each folder once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from converter.atomic_write import remove_leftovers
from converter.gguf_header import is_first_part, is_gguf, part_paths
from models.errors import BadFile, ZhiyinError
from models.system_reasons import system_reason

_MOST_FOLDERS = 2_000
_MOST_FILES = 20_000
"""More than any collection of models has: a link leads to a whole disk."""


@dataclass
class Found:
    """The models in a folder."""

    files: list[Path] = field(default_factory=list)
    """Models, of split ones the first part; and what is called .gguf, whatever it is."""
    unreadable: list[tuple[Path, ZhiyinError]] = field(default_factory=list)
    """Folders."""


def find_models(folder: Path, *, is_ours: bool = True) -> Found:
    """Look through a folder and what is in it; where it is ours, what dead processes left unfinished there is removed."""
    scanned = Found()
    seen: set[tuple[int, int]] = set()
    entries = 0
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            paths = sorted(here.iterdir())
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = system_reason(error)
            scanned.unreadable.append((here, BadFile("{path} cannot be read: {reason}.", path=here, reason=reason)))
            continue
        entries += len(paths)
        if entries > _MOST_FILES or len(seen) > _MOST_FOLDERS:
            scanned.unreadable.append((here, _too_large(folder, here)))
            break
        if is_ours and any(path.name.startswith(".") for path in paths):
            remove_leftovers(here)
        shown = [path for path in paths if not path.name.startswith(".")]
        folders = [path for path in shown if path.is_dir()]
        waiting += reversed([path for path in folders if not _is_blobs(path)])
        scanned.files += _models([path for path in shown if path not in folders])
    return scanned


def _models(paths: list[Path]) -> Iterator[Path]:
    """Yield the models among a folder's files; of a split model without its first part the first that is there."""
    incomplete: set[Path] = set()
    for path in paths:
        if path.suffix.lower() != ".gguf" and not (_is_ordinary(path) and is_gguf(path)):
            continue
        first = part_paths(path)[0]
        if is_first_part(path):
            yield path
        elif first not in incomplete and not os.path.lexists(first):
            incomplete.add(first)
            yield path


def _is_ordinary(path: Path) -> bool:
    """Tell whether a path is that of a file with content; the system's own files, which have none, may keep a reader waiting."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _is_blobs(folder: Path) -> bool:
    """Tell whether a folder holds a Hugging Face cache's files under their hashes; their names are beside it."""
    return folder.name == "blobs" and (folder.parent / "snapshots").is_dir()


def _too_large(folder: Path, here: Path) -> BadFile:
    return BadFile(
        "{folder} leads to more than {count} files at {path}, where the search for models ended; remove that link or folder.",
        folder=folder,
        count=_MOST_FILES,
        path=here,
    )
