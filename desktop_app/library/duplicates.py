"""Models that are here twice: files of the same bytes, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from converter.gguf_header import split_parts
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.other_programs import FoundModel, found_models
from desktop_app.processes.worker import Tell
from models.errors import BadFile, Cancelled
from models.system_reasons import system_reason

Held = InstalledModel | FoundModel
"""A model on this computer, ours or another program's."""
_AT_ONCE = 4 * 1024 * 1024


def duplicates(
    models: Iterable[Held], read: Callable[[int, int], None] = lambda done, total: None
) -> list[tuple[Held, ...]]:
    """Return the groups of models that hold the same bytes, the largest first; only files of the same size are read.

    Two names of one file take no room twice and are none; nor is a file that is gone.

    Args:
        models: ours and those of other programs.
        read: hears of the bytes that were read and of all that will be; it may raise to stop.

    Raises:
        BadFile: a file cannot be read.
    """
    by_inode: dict[tuple[int, int], Held] = {}
    for model in models:
        with suppress(OSError):
            by_inode.setdefault(_inode(model.path), model)
    same_sizes = _grouped(by_inode.values(), lambda model: model.bytes)
    total, done = sum(model.bytes for group in same_sizes for model in group), 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        read(done, total)

    groups = [group for same in same_sizes for group in _grouped(same, lambda model: _digest(model.path, count))]
    return sorted(groups, key=lambda group: -group[0].bytes)


def everything_here(installed: Iterable[InstalledModel]) -> list[Held]:
    """Return the installed models, and those of other programs that are not among them."""
    models = list(installed)
    paths = {model.path for model in models}
    return [*models, *(model for model in found_models() if model.path not in paths)]


def taken_twice(groups: Iterable[tuple[Held, ...]]) -> int:
    """Return the bytes that would be free if there were one of each."""
    return sum((len(group) - 1) * group[0].bytes for group in groups)


def duplicates_and_tell(
    models: Sequence[InstalledModel], tell: Tell, cancelled: Callable[[], bool]
) -> list[tuple[Held, ...]]:
    """`duplicates` of installed models and of what other programs have, as a `worker.Work`; it tells of bytes as `read` hears."""

    def read(done: int, total: int) -> None:
        if cancelled():
            raise Cancelled("It was stopped.")
        tell((done, total))

    return duplicates(everything_here(models), read)


def _grouped(models: Iterable[Held], key: Callable[[Held], object]) -> list[tuple[Held, ...]]:
    """Return the groups with a common key that have several."""
    by_key: dict[object, list[Held]] = {}
    for model in models:
        by_key.setdefault(key(model), []).append(model)
    return [tuple(group) for group in by_key.values() if len(group) > 1]


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _digest(path: Path, count: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    try:
        for part in split_parts(path):
            with part.open("rb") as stream:
                while chunk := stream.read(_AT_ONCE):
                    digest.update(chunk)
                    count(len(chunk))
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    return digest.hexdigest()
