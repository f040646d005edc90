"""The manifest of a download, in its folder: where the files came from, and the digest of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converter.atomic_write import write_atomically
from converter.hub.names import is_harmless
from models.errors import BadFile, ZhiyinError
from models.regular_file import is_there
from models.untrusted_json import read_object

NOTE = ".hub.json"
LOCK = ".lock"
"""The file by which one process has the folder to itself."""
_LONGEST = 1000
"""Characters of a repository's name or of its page's address."""


@dataclass(frozen=True)
class Origin:
    """Where a folder of downloaded files came from."""

    repository: str
    """ORG/NAME."""
    url: str


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a folder's note; {}: there is none that can be read."""
    try:
        return read_object(folder / NOTE)
    except BadFile:
        return {}


def write_manifest(folder: Path, note: dict[str, Any]) -> None:
    """Write a folder's note, whole or not at all."""
    write_atomically(folder / NOTE, json.dumps(note, ensure_ascii=False, indent=1))


def verified_files(note: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a note says of each file that was fetched and checked: size, digest, mtime; only well-formed entries."""
    files = note.get("files")
    return {
        name: entry
        for name, entry in (files.items() if isinstance(files, dict) else ())
        if is_harmless(name)
        and isinstance(entry, dict)
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("digest"), str)
        and isinstance(entry.get("mtime"), int)
    }


@contextmanager
def alone(folder: Path, repository: str) -> Iterator[None]:
    """Have a download's folder to oneself for a while; one that holds nothing but the lock then goes.

    Raises:
        ZhiyinError: another process has it.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ZhiyinError(
            "{name} is being downloaded or converted by another Zhiyin; wait for it.", name=repository, code="busy"
        ) from error
    try:
        yield
    finally:
        _remove_if_empty(folder)  # with the lock: another process may be about to use the folder
        lock.release()
        with suppress(OSError):  # Windows deletes no open file, so that the folder is empty only now
            folder.rmdir()


def _remove_if_empty(folder: Path) -> None:
    lock = folder / LOCK
    with suppress(OSError):
        if not any(path != lock for path in folder.iterdir()):
            lock.unlink(missing_ok=True)
            folder.rmdir()


@contextmanager
def in_use(*paths: Path) -> Iterator[None]:
    """Keep downloads from being deleted or fetched anew while they are read: those that lie at these paths.

    Raises:
        ZhiyinError: another process does something with one of them.
    """
    with ExitStack() as stack:
        for folder in {folder for path in paths for folder in (path.resolve(), path.resolve().parent)}:
            if (origin := read_origin(folder)) is not None:
                with suppress(OSError):  # where nothing can be written, nothing can be deleted either
                    stack.enter_context(alone(folder, origin.repository))
        yield


def read_origin(folder: Path) -> Origin | None:
    """Return where a folder was downloaded from; None: it was not."""
    note = read_manifest(folder)
    repository, page = note.get("repository"), note.get("page")
    if not isinstance(page, str):  # of Zhiyin 0.1 before it knew ModelScope
        page = f"{note.get('endpoint', '')}/{repository}"
    known = isinstance(repository, str) and len(repository) <= _LONGEST and len(page) <= _LONGEST
    return Origin(str(repository), page) if known else None


def folders_of(downloads: Path, repository: str) -> list[Path]:
    """Return the folders of a repository's downloads, wherever they came from; that of its main branch is before others."""
    origins = ((folder, read_origin(folder)) for folder in sorted(downloads.glob("*")))
    return [folder for folder, origin in origins if origin is not None and origin.repository == repository]


def note_conversion(folder: Path, source: Path, commit: str, quant: str, made: Path) -> None:
    """Note what was converted from a download, so that the same request finds it again.

    Args:
        folder: of the download.
        source: what was converted: the folder, or one of several models in it.
        commit: of the download.
        quant: the types.
        made: the GGUF file.
    """
    note = read_manifest(folder)
    entry = {"commit": commit, "path": str(made), "size": made.stat().st_size}
    write_manifest(folder, note | {"converted": _conversions(note) | {_wish(folder, source, quant): entry}})


def earlier_conversion(folder: Path, source: Path, commit: str, quant: str) -> tuple[Path | None, bool]:
    """Return the file that was converted from this download with these types, if it is there, and whether it is up to date."""
    entry = _conversions(read_manifest(folder)).get(_wish(folder, source, quant))
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        return None, False
    path = Path(entry["path"])
    if not is_there(path):
        return None, False
    return path, entry.get("commit") == commit and entry.get("size") == path.stat().st_size


def converted_from(folder: Path, file: str = "") -> list[Path]:
    """Return what was converted from a download, or from one of several models in it, and may still be there."""
    entries = _conversions(read_manifest(folder))
    matching = (entry for key, entry in entries.items() if not file or key.startswith(f"{file} "))
    return [Path(entry["path"]) for entry in matching if isinstance(entry, dict) and isinstance(entry.get("path"), str)]


def commits_of_conversions(folder: Path) -> set[str]:
    """Return the states of a repository of which something was converted that is still here."""
    entries = (entry for entry in _conversions(read_manifest(folder)).values() if isinstance(entry, dict))
    return {
        str(entry.get("commit"))
        for entry in entries
        if isinstance(entry.get("path"), str) and is_there(Path(entry["path"]))
    }


def conversions_by_source(folder: Path) -> dict[str, list[Path]]:
    """Return what was converted from a download and is there: the file in it that was the source, "" for all, to the models."""
    by_source: dict[str, list[Path]] = {}
    for key, entry in _conversions(read_manifest(folder)).items():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str) and is_there(Path(entry["path"])):
            by_source.setdefault(key.rpartition(" ")[0], []).append(Path(entry["path"]))
    return by_source


def _wish(folder: Path, source: Path, quant: str) -> str:
    return quant if source == folder else f"{source.name} {quant}"


def _conversions(note: dict[str, Any]) -> dict[str, Any]:
    converted = note.get("converted")
    return converted if isinstance(converted, dict) else {}
