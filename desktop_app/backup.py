"""Everything of the user's in one file: chats, settings, assistants, document collections and what tools made; no models.

A backup is made while everything is in use. To restore one, its files are checked and laid ready beside the others
(`prepare_restore`); they take their places when the application starts next (`finish_restore`), before anything is opened.
What they replace is put aside and never deleted. Tokens of model hosts go into no backup.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from converter.atomic_write import write_file
from desktop_app.paths import WORK
from desktop_app.settings import load_settings, save_settings
from desktop_app.small_files import free_path
from models.errors import BadFile, Cancelled, ZhiyinError
from models.system_reasons import system_reason

DATABASES = ("chats.sqlite3", "documents.sqlite3")
SETTINGS = "settings.json"
_FILES = ("assistants.json",)
_NOTE = "zhiyin-backup.json"
_VERSION = 1
_READY = "restore"
"""The folder of what takes its place at the next start."""
_BLOCK = 1 << 20
_LARGEST = 64 << 30
"""Bytes that a backup may hold unpacked."""
Tell = Callable[[Any], None]
Stopped = Callable[[], bool]


class NoBackup(BadFile):
    """A file is no backup, or a damaged one."""


def make_backup(tell: Tell, stopped: Stopped, folder: Path, target: Path) -> None:
    """Write a backup of the data folder; it is there as a whole or not at all.

    Raises:
        ZhiyinError: the target cannot be written, or a database cannot be read.
        Cancelled: it was stopped.
    """
    try:
        write_file(target, lambda file: _pack(file, folder, tell, stopped), private=True)
    except (OSError, sqlite3.Error) as error:
        reason = system_reason(error)
        raise ZhiyinError("The backup {path} cannot be written: {reason}.", path=target, reason=reason) from error


def prepare_restore(tell: Tell, stopped: Stopped, backup: Path, folder: Path) -> None:
    """Check a backup and lay its files ready for the next start.

    Raises:
        NoBackup: it is no backup, or a damaged one; nothing was changed.
        ZhiyinError: the disk is full, or the data folder cannot be written.
        Cancelled: it was stopped.
    """
    shutil.rmtree(folder / _READY, ignore_errors=True)
    unpacked = folder / f".{_READY}.part"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        _unpack(backup, unpacked, tell, stopped)
        _check(unpacked, backup)
        _keep_tokens(unpacked / SETTINGS, folder / SETTINGS)
        unpacked.replace(folder / _READY)
    except OSError as error:
        raise ZhiyinError(
            "The backup cannot be laid ready: {reason}; free some space, and try again.",
            reason=system_reason(error),
        ) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def finish_restore(folder: Path) -> Path | None:
    """Put what was laid ready in its place; return where the replaced files are now, None: nothing was laid ready.

    A process that ends in between is no harm: the next one goes on.

    Raises:
        OSError: a file cannot be moved.
    """
    ready = folder / _READY
    if not ready.is_dir():
        return None
    aside = folder / f"replaced-{time.strftime('%Y%m%d')}"
    while aside.exists() and not (aside / _NOTE).exists():
        aside = free_path(aside)
    aside.mkdir(exist_ok=True)
    (aside / _NOTE).touch()  # the next process that goes on finds the same folder
    for path in sorted(ready.iterdir()):
        target = folder / path.name
        for suffix in ("", "-wal", "-shm") if path.name in DATABASES else ("",):
            old = Path(f"{target}{suffix}")
            if old.exists() and path.exists():
                old.replace(free_path(aside / old.name))
        path.replace(target)
    ready.rmdir()
    (aside / _NOTE).unlink()
    return aside


def _pack(file: Any, folder: Path, tell: Tell, stopped: Stopped) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory(dir=folder) as copies:
        archive.writestr(_NOTE, json.dumps({"version": _VERSION, "created": time.time()}))
        parts = [*_copies(folder, Path(copies)), *_work_files(folder)]
        total = sum(path.stat().st_size for _, path in parts) or 1
        done = 0
        for name, path in parts:
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
                while block := source.read(_BLOCK):
                    if stopped():
                        raise Cancelled("Stopped.")
                    target.write(block)
                    done += len(block)
                    tell(done / total)


def _copies(folder: Path, copies: Path) -> Iterator[tuple[str, Path]]:
    """Yield whole copies of what other threads may be writing."""
    for name in DATABASES:
        if (folder / name).exists():
            source = f"{(folder / name).absolute().as_uri()}?mode=ro"
            with (
                closing(sqlite3.connect(source, uri=True)) as database,
                closing(sqlite3.connect(copies / name)) as copy,
            ):
                database.backup(copy)
            yield name, copies / name
    save_settings(replace(load_settings(folder / SETTINGS), tokens={}, token=""), copies / SETTINGS)
    yield SETTINGS, copies / SETTINGS
    for name in _FILES:
        if (folder / name).exists():
            yield name, folder / name


def _work_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted((folder / WORK).rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def _unpack(backup: Path, target: Path, tell: Tell, stopped: Stopped) -> None:
    try:
        with zipfile.ZipFile(backup) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            total = sum(entry.file_size for entry in entries) or 1
            if (
                _NOTE not in archive.namelist()
                or total > _LARGEST
                or not all(_is_ours(one.filename) for one in entries)
            ):
                raise _no_backup(backup)
            done = 0
            for entry in entries:
                path = target / entry.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, path.open("wb") as file:
                    while block := source.read(_BLOCK):
                        if stopped():
                            raise Cancelled("Stopped.")
                        file.write(block)
                        done += len(block)
                        tell(min(1.0, done / total))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _no_backup(backup) from error
    except FileNotFoundError as error:
        raise _no_backup(backup) from error


def _is_ours(name: str) -> bool:
    """Tell whether a backup may hold a file: nothing leaves the data folder."""
    parts = PurePosixPath(name).parts
    if any(part in ("", ".", "..") or ":" in part or "\\" in part for part in parts) or name.startswith("/"):
        return False
    return name in (*DATABASES, *_FILES, SETTINGS, _NOTE) or (len(parts) > 2 and parts[0] == WORK)


def _check(unpacked: Path, backup: Path) -> None:
    """Refuse what is not whole or from a newer version, before anything is replaced."""
    try:
        note = json.loads((unpacked / _NOTE).read_text("utf-8"))
        newer = not isinstance(note, dict) or note.get("version") != _VERSION
    except (ValueError, OSError, RecursionError):
        newer = True
    if newer or (not (unpacked / DATABASES[0]).exists() and not (unpacked / SETTINGS).exists()):
        raise _no_backup(backup)
    (unpacked / _NOTE).unlink()
    for name in DATABASES:
        if (unpacked / name).exists():
            with closing(sqlite3.connect(unpacked / name)) as database:
                try:
                    is_sound = database.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
                except sqlite3.Error:
                    is_sound = False
            for suffix in ("-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{unpacked / name}{suffix}").unlink()
            if not is_sound:
                raise _no_backup(backup)


def _keep_tokens(restored: Path, current: Path) -> None:
    settings = load_settings(restored)
    now = load_settings(current)
    save_settings(replace(settings, tokens=now.tokens, token=now.token), restored)


def _no_backup(path: Path) -> NoBackup:
    return NoBackup("{path} is no whole backup of Zhiyin; choose another file.", path=path)
