"""Models that are here twice: files of the same bytes, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from converter.gguf_header import split_parts
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.other_programs import FoundModel
from models.errors import BadFile
from models.system_reasons import system_reason

Held = InstalledModel | FoundModel
"""A model on this computer, ours or another program's."""
_AT_ONCE = 4 * 1024 * 1024


def duplicates(models: Iterable[Held]) -> list[tuple[Held, ...]]:
    """Return the groups of models that hold the same bytes, the largest first; only files of the same size are read.

    Two names of one file take no room twice and are none.

    Raises:
        BadFile: a file cannot be read.
    """
    by_inode: dict[tuple[int, int], Held] = {}
    for model in models:
        by_inode.setdefault(_inode(model.path), model)
    groups = [
        group
        for same_size in _grouped(by_inode.values(), lambda model: model.bytes)
        for group in _grouped(same_size, lambda model: _digest(model.path))
    ]
    return sorted(groups, key=lambda group: -group[0].bytes)


def _grouped(models: Iterable[Held], key: Callable[[Held], object]) -> list[tuple[Held, ...]]:
    """Return the groups with a common key that have several."""
    by_key: dict[object, list[Held]] = {}
    for model in models:
        by_key.setdefault(key(model), []).append(model)
    return [tuple(group) for group in by_key.values() if len(group) > 1]


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        for part in split_parts(path):
            with part.open("rb") as stream:
                while chunk := stream.read(_AT_ONCE):
                    digest.update(chunk)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    return digest.hexdigest()
