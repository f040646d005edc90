"""Models and downloads move to another folder: copied, compared, then used there, then removed here.

Until the new folder is written down (`paths.use_storage`) the old one counts, and it is whole; after that the new one is. A
process that is killed in between loses nothing: the next move goes on with what is copied, and the next start removes what is
left.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converter.atomic_write import is_unfinished, remove_leftovers, sync, write_atomically
from converter.hub.manifest import LOCK, NOTE, alone, read_origin
from desktop_app.library.imported_files import LIST
from desktop_app.library.model_care import all_uses, follow_uses
from desktop_app.library.model_settings import all_model_settings, follow_renames
from desktop_app.paths import data_folder, left_storage, storage_folder, use_storage
from models.errors import BadFile, Cancelled, ZhiyinError
from models.system_errors import cannot_write

FOLDERS = ("models", "downloads")
_MARK = ".zhiyin-move"
"""A file in the new folder while it is being filled."""
_AT_ONCE = 4 * 1024 * 1024
_SPARE = 64 * 1024 * 1024
"""Bytes of the disk that stay free."""
_PASSES = 5


@dataclass(frozen=True)
class Moving:
    """How far it is: each byte is copied, then read again."""

    bytes_done: int
    bytes_total: int


def storage_bytes() -> int:
    """Return the bytes of all models and downloads."""
    return sum(file.stat().st_size for file in _files(storage_folder()))


def move_storage(target: Path, tell: Callable[[Moving], None], cancelled: Callable[[], bool]) -> Path:
    """Move models and downloads into a folder, and return it.

    Args:
        target: a folder that is empty or not there, or the data folder.
        tell: hears of progress.
        cancelled: asked all the time; True ends it. What is copied serves the next try.

    Raises:
        Cancelled: it was stopped; everything is where it was.
        ZhiyinError: the folder will not do, another Zhiyin downloads or converts, or the system refuses; nothing was moved.
    """
    source, target = storage_folder(), target.expanduser().absolute()
    _check_target(source, target)
    try:
        with ExitStack() as stack:
            _have_alone(stack, source)
            target.mkdir(parents=True, exist_ok=True)
            (target / _MARK).write_text(str(source), "utf-8")
            _check_room(source, target)
            _Copy(source, target, tell, cancelled).run()
            _correct_paths(source, target)
            use_storage(target, source)
    except OSError as error:
        raise cannot_write(target, error) from error
    finish_move()
    return target


def finish_move() -> None:
    """Remove what a move left in the folder that is used no more: files that the new folder has as well."""
    old = left_storage()
    if old is None:
        return
    new = storage_folder()
    if not follow_move():
        return  # the next start does it
    for file in list(_files(old, everything=True)):
        copied = new / file.relative_to(old)
        written_anew = file.name in (NOTE, LIST, LOCK)
        with suppress(OSError):
            if written_anew or (copied.exists() and copied.stat().st_size == file.stat().st_size):
                file.unlink()
    for name in FOLDERS:
        for folder, _, _ in os.walk(old / name, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    with suppress(OSError):
        (new / _MARK).unlink(missing_ok=True)
    if not any(True for _ in _files(old)):
        use_storage(new, None)


def follow_move() -> bool:
    """Let settings and last uses belong to the models where they are now; tell whether they do. Twice is as good as once."""
    source, target = left_storage(), storage_folder()
    if source is None:
        return True
    with suppress(OSError):
        for names, follow in ((all_model_settings(), follow_renames), (all_uses(), follow_uses)):
            follow({name: moved for name in names if (moved := moved_path(name, source, target)) != name})
        return True
    return False


class _Copy:
    """Copies what is missing, as often as something is new: a note may be written meanwhile."""

    def __init__(
        self, source: Path, target: Path, tell: Callable[[Moving], None], cancelled: Callable[[], bool]
    ) -> None:
        self._source, self._target = source, target
        self._tell, self._cancelled = tell, cancelled
        self._done = 0
        self._total = 2 * storage_bytes()
        self._copied: dict[Path, tuple[int, int]] = {}
        """Size and time of what was copied."""

    def run(self) -> None:
        for _ in range(_PASSES):
            files = [file for file in _files(self._source) if self._copied.get(file) != _state(file)]
            if not files:
                return
            for file in files:
                state = _state(file)
                self._copy(file, self._target / file.relative_to(self._source))
                self._copied[file] = state
        raise ZhiyinError(
            "{path} changes all the time; close other programs that use it, and try again.",
            path=self._source,
            code="busy",
        )

    def _copy(self, file: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.stat().st_size == file.stat().st_size and self._same(file, target):
            return  # of an earlier try
        part = target.with_name(f".{target.name}.moving")
        digest = hashlib.sha256()
        try:
            with file.open("rb") as reading, part.open("wb") as writing:
                while chunk := reading.read(_AT_ONCE):
                    writing.write(chunk)
                    digest.update(chunk)
                    self._count(len(chunk))
                writing.flush()
                sync(writing.fileno())
            self._compare(file, part, digest.digest())
            shutil.copystat(file, part)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _compare(self, file: Path, copy: Path, digest: bytes) -> None:
        if self._digest(copy) != digest:
            raise BadFile(
                "{path} came out with other bytes than {source} has; check that disk.", path=copy, source=file
            )

    def _same(self, file: Path, target: Path) -> bool:
        before = self._done
        same = self._digest(file) == self._digest(target)
        if not same:
            self._done = before
        return same

    def _digest(self, path: Path) -> bytes:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_AT_ONCE):
                digest.update(chunk)
                self._count(len(chunk))
        return digest.digest()

    def _count(self, count: int) -> None:
        if self._cancelled():
            raise Cancelled("It was stopped; everything is where it was.")
        self._done += count
        self._tell(Moving(min(self._done, self._total), self._total))


def _files(storage: Path, *, everything: bool = False) -> Iterator[Path]:
    """Yield the files to be moved; locks are of their folder."""
    for name in FOLDERS:
        for folder, _, names in os.walk(storage / name):
            for entry in sorted(names):
                path = Path(folder) / entry
                if path.is_file() and (everything or (entry != LOCK and not entry.endswith(".lock"))):
                    yield path


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _check_target(source: Path, target: Path) -> None:
    for name in FOLDERS:
        if target == source or target.is_relative_to(source / name):
            raise ZhiyinError("{path} is where models and downloads are already; choose another folder.", path=target)
    ours = (target / _MARK).is_file()
    own = target == data_folder()
    taken = [name for name in FOLDERS if (target / name).exists()] if own else _entries(target)
    if taken and not ours:
        raise ZhiyinError("{path} is not empty; choose an empty folder, or a new one.", path=target)


def _entries(target: Path) -> list[str]:
    try:
        return [path.name for path in target.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_write(target, error) from error


def _check_room(source: Path, target: Path) -> None:
    present = sum(file.stat().st_size for file in _files(target))
    missing = storage_bytes() - present + _SPARE - shutil.disk_usage(target).free
    if missing > 0:
        raise ZhiyinError(
            "{path} has too little room for what is in {source}; free {missing:size} there, or choose another disk.",
            path=target,
            source=source,
            missing=missing,
        )


def _have_alone(stack: ExitStack, source: Path) -> None:
    """Keep other processes from downloading; raises where one does, or converts."""
    for folder in sorted((source / "downloads").glob("*")):
        if (origin := read_origin(folder)) is not None:
            stack.enter_context(alone(folder, origin.repository))
    remove_leftovers(source / "models")
    for path in (source / "models").glob(".*"):
        if is_unfinished(path):
            raise ZhiyinError("{path} is still being written; wait for it.", path=path, code="busy")


def _correct_paths(source: Path, target: Path) -> None:
    """Let notes and lists in the new folder name the files there."""
    notes = [*(target / "downloads").glob(f"*/{NOTE}"), target / "models" / LIST]
    for note in notes:
        with suppress(FileNotFoundError, ValueError):
            stored = json.loads(note.read_text("utf-8"))
            corrected = _corrected(stored, source, target)
            if corrected != stored:
                write_atomically(note, json.dumps(corrected, ensure_ascii=False, indent=1))


def _corrected(value: Any, source: Path, target: Path) -> Any:
    if isinstance(value, dict):
        return {key: _corrected(part, source, target) for key, part in value.items()}
    if isinstance(value, list):
        return [_corrected(part, source, target) for part in value]
    return moved_path(value, source, target) if isinstance(value, str) else value


def moved_path(text: str, source: Path, target: Path) -> str:
    """Return where a file is after a move; what is no path into the old folders stays as it is."""
    for name in FOLDERS:
        if text.startswith(f"{source / name}{os.sep}"):
            return str(target / Path(text).relative_to(source))
    return text
