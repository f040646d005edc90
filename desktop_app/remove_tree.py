"""Removing folders whose contents are anybody's, which may lie in each other as deep as a program wants."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as the system lets it."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # before Python 3.13 it calls itself for each folder in another
        _flatten(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _flatten(root: Path) -> None:
    """Bring the folders that lie below the first ones up beside them, so that none lies deeper."""
    numbers = count()
    pending = _folders(root)
    while pending:
        for inner in _folders(pending.pop()):
            target = root / f".removed-{os.getpid()}-{next(numbers)}"
            with suppress(OSError):
                inner.rename(target)
                pending.append(target)


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []
