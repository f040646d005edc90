"""Folders of the user's own whose models are on the list: read where they lie, never written to. New models go elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from desktop_app.library.file_names import plain_path
from desktop_app.paths import data_folder, further_folders_file, storage_folder
from desktop_app.small_files import Parsed, SmallFile
from models.errors import BadFile, ZhiyinError
from models.system_errors import cannot_write
from models.system_reasons import system_reason


def further_folders() -> list[Path]:
    """Return them in the order in which they were added; a folder's disk may be away."""
    return _file().read()


def add_folder(folder: Path) -> None:
    """Have the models of a folder on the list.

    Raises:
        ZhiyinError: it is no folder, cannot be read, or holds what Zhiyin itself keeps.
    """
    folder = plain_path(folder)
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise BadFile(
            "{path} cannot be read as a folder of models: {reason}.", path=folder, reason=system_reason(error)
        ) from error
    for own in (storage_folder(), data_folder()):
        if _overlap(folder, own):
            raise ZhiyinError(
                "{path} and Zhiyin's own folder {own} lie in one another; choose a folder outside of it.",
                path=folder,
                own=own,
            )
    known = next((other for other in further_folders() if folder.resolve().is_relative_to(other.resolve())), None)
    if known is not None and known != folder:
        raise ZhiyinError("{path} lies in {folder}, whose models are on the list already.", path=folder, folder=known)
    _change([*(other for other in further_folders() if not other.is_relative_to(folder)), folder])


def take_off_folder(folder: Path) -> None:
    """Have a folder's models on the list no more; nothing in it changes, and it need not be there.

    Raises:
        ZhiyinError: it is none of them.
    """
    plain, left = plain_path(folder), further_folders()
    if plain not in left:
        raise ZhiyinError(
            "{path} is none of the folders whose models are on the list; `zhiyin models folders` lists them.",
            path=folder,
        )
    _change([other for other in left if other != plain])


def folder_of(path: Path) -> Path | None:
    """Return the one of them that a file lies in, or that it is; None: none."""
    return next((folder for folder in further_folders() if path.is_relative_to(folder)), None)


def gone(folder: Path) -> BadFile:
    """Return the sentence for one that is not there."""
    return BadFile(
        "The folder of models {path} is not there now; connect its disk, or take it off the list: zhiyin models folders "
        "--remove {path}",
        path=folder,
    )


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _change(folders: list[Path]) -> None:
    try:
        _file().change(lambda _: folders)
    except OSError as error:
        raise cannot_write(further_folders_file(), error) from error


def _file() -> SmallFile[list[Path]]:
    return SmallFile(further_folders_file(), list, _parsed, lambda folders: [str(folder) for folder in folders])


def _parsed(stored: Any) -> Parsed[list[Path]]:
    if not isinstance(stored, list):
        raise TypeError(stored)
    good = [entry for entry in stored if isinstance(entry, str) and "\0" not in entry and Path(entry).is_absolute()]
    return Parsed([Path(entry) for entry in good], len(good) == len(stored))
