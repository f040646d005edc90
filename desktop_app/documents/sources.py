"""The documents in files and folders, and whether they are as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from desktop_app.documents.kinds import is_document

MOST_FILES = 50_000
Status = tuple[int, int]
"""Bytes, and nanoseconds since 1970 of the last change."""


def files_of(sources: tuple[str, ...]) -> Iterator[tuple[str, Status]]:
    """Yield the documents in files and folders with their states; hidden ones and links are left out."""
    count = 0
    for source in sources:
        paths = [source] if Path(source).is_file() else _walk(source)
        for path in paths:
            with suppress(OSError):
                yield path, status(path)
                count += 1
            if count >= MOST_FILES:
                return


def _walk(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith((".", "~$")) and is_document(path) and path.is_file() and not path.is_symlink():
                yield str(path)


def status(path: str) -> Status:
    """Return the state of a file; raises `OSError`."""
    facts = Path(path).stat()
    return facts.st_size, facts.st_mtime_ns


def changes(sources: tuple[str, ...], known: Mapping[str, Status]) -> tuple[list[str], dict[str, Status]]:
    """Return which of the known files are gone, and which files are new or changed, with their states.

    What is missing only because the disk of its source is, is not gone.
    """
    present = dict(files_of(sources))
    gone = [path for path in known if path not in present and not _is_unreachable(path, sources)]
    return gone, {path: state for path, state in present.items() if known.get(path) != state}


def _is_unreachable(path: str, sources: tuple[str, ...]) -> bool:
    owner = next((s for s in sources if path == s or Path(path).is_relative_to(s)), None)
    return owner is not None and not Path(owner).exists() and not Path(owner).parent.exists()
