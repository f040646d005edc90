"""Facts of an installed model, verifying its bytes, exporting and renaming it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converter.gguf_checks import check_model, read_parts
from converter.gguf_header import read_gguf_header, split_parts
from converter.hub.manifest import converted_from, read_manifest
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.newer import newer_commit
from desktop_app.library.packs import pack
from desktop_app.paths import downloads_folder, models_folder, used_file
from desktop_app.small_files import Parsed, SmallFile
from models.errors import BadFile, Cancelled

_AT_ONCE = 4 * 1024 * 1024


@dataclass(frozen=True)
class ModelFacts:
    """Besides what the list says."""

    model: InstalledModel
    commit: str = ""
    """The state of the repository that it came from; "": not known."""
    newer: str = ""
    """The state in which it is published now, with other bytes; "": nobody knows of one."""
    licence: str = ""
    made_here: bool = False
    """It was converted on this computer; otherwise it came as GGUF."""
    used: float = 0.0
    """When it was loaded last, in seconds since 1970; 0: not known."""
    is_ours: bool = False
    """It lies in the models folder, as one file, which is renamed with the model; other files keep their names."""


def model_facts(model: InstalledModel) -> ModelFacts:
    """Return what is known of a model.

    Raises:
        ZhiyinError: its file cannot be read.
    """
    metadata = read_gguf_header(model.path, arrays=False).metadata
    licence = metadata.get("general.license.name") or metadata.get("general.license") or ""
    folder, commit, made_here = _origin_of(model.path)
    newer = newer_commit(folder) if folder is not None else ""
    ours = model.path.is_relative_to(models_folder()) and len(split_parts(model.path)) == 1
    used = _used().read().get(model.identifier, 0.0)
    return ModelFacts(model, commit, newer, str(licence), made_here, used, ours)


def note_use(model: InstalledModel, when: float) -> None:
    """Write down that a model was loaded.

    Raises:
        OSError: it cannot be written.
    """
    _used().change(lambda used: used | {model.identifier: when})


def all_uses() -> Mapping[str, float]:
    """Return when models were loaded last, by their identifiers."""
    return _used().read()


def follow_uses(targets: Mapping[str, str]) -> None:
    """Let renamed or moved models keep when they were loaded last.

    Args:
        targets: the new identifier of each former one.

    Raises:
        OSError: it cannot be written.
    """
    if targets:
        _used().change(lambda used: {targets.get(name, name): when for name, when in used.items()})


def verify_model(model: InstalledModel, tell: Callable[[tuple[int, int]], None], cancelled: Callable[[], bool]) -> str:
    """Read a model whole and return its file's SHA-256, of a split one that of its parts in order.

    Args:
        model: which.
        tell: hears of the bytes that were read and of all of them.
        cancelled: asked all the time; True ends it.

    Raises:
        BadFile: it is damaged, or has other bytes than its host listed.
        Cancelled: it was stopped.
    """
    check_model(read_parts(model.path))
    digest, done = hashlib.sha256(), 0
    for part in split_parts(model.path):
        with part.open("rb") as stream:
            while chunk := stream.read(_AT_ONCE):
                if cancelled():
                    raise Cancelled("It was stopped.")
                digest.update(chunk)
                done += len(chunk)
                tell((done, model.bytes))
    checksum = digest.hexdigest()
    if model.sha256 and model.sha256 != checksum:
        raise BadFile(
            "{path} has other bytes than its host lists (its checksum differs); remove it and fetch it again.",
            path=model.path,
        )
    return checksum


def export_model(
    model: InstalledModel, target: Path, tell: Callable[[int], None], cancelled: Callable[[], bool]
) -> None:
    """Write a model into a pack (`packs.pack`); `tell` hears of the bytes of each piece.

    Raises:
        ZhiyinError: as `packs.pack`.
        Cancelled: it was stopped; nothing is left.
    """

    def count(size: int) -> None:
        if cancelled():
            raise Cancelled("It was stopped.")
        tell(size)

    pack(model.path, target, origin=model.origin, count=count)


def _origin_of(path: Path) -> tuple[Path | None, str, bool]:
    """Return the download that a model came from, its commit, and whether it was converted here."""
    for folder in sorted(downloads_folder().glob("*")):
        note = read_manifest(folder)
        if path in converted_from(folder):
            commits = (entry.get("commit") for entry in note["converted"].values() if entry.get("path") == str(path))
            return folder, str(next(commits, "") or ""), True
        if path.is_relative_to(folder):
            return folder, str(note.get("commit", "")), False
    return None, "", False


def _used() -> SmallFile[dict[str, float]]:
    return SmallFile(used_file(), dict, _parsed, dict)


def _parsed(stored: Any) -> Parsed[dict[str, float]]:
    good = {name: float(when) for name, when in stored.items() if isinstance(when, int | float) and 0 <= when < 1e12}
    return Parsed(good, len(good) == len(stored))
