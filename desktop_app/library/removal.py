"""Removing a model: what would be deleted, and deleting it. Files of the user's own stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converter.gguf_header import part_paths
from converter.hub.cleanup import (
    KeptDownload,
    delete_download,
    delete_fetched,
    delete_files,
    delete_rest,
    fetched_folder,
    kept_downloads,
)
from converter.hub.manifest import converted_from
from desktop_app.library.bin import into_bin
from desktop_app.library.file_names import exists, is_same
from desktop_app.library.further_folders import folder_of
from desktop_app.library.imported_files import ImportedFiles
from desktop_app.library.installed_model import BrokenModel, Entry
from desktop_app.paths import downloads_folder
from models.errors import ZhiyinError


@dataclass(frozen=True)
class Removal:
    """The consequences of removing a model."""

    model: Entry
    files: tuple[Path, ...]
    """What is deleted, in this order: what is left of a split model stays on the list by its first part, which comes last.
    (): its files are the user's own and stay."""
    download: KeptDownload | None
    """The checkpoint of which this model alone was made, if that is still here."""

    @property
    def frees(self) -> int:
        """Bytes, without the download."""
        return sum(file.lstat().st_size for file in self.files if not file.is_symlink())


def plan_removal(model: Entry, folder: Path) -> Removal:
    """Return what it would mean to remove a model of the list.

    Args:
        model: on the list.
        folder: of models.

    Raises:
        ZhiyinError: it is the starter, lies in a further folder of the user's own, or where a link in the models folder leads
            to.
    """
    if model.starter:
        raise ZhiyinError("{name} comes with the application and cannot be removed.", name=model.name)
    own = folder_of(model.path)
    if isinstance(model, BrokenModel) and (model.path.is_dir() or model.path == own):
        raise model.error
    if own is not None:
        raise ZhiyinError(
            "{path} lies in {folder}, a folder of your own that is only read; remove the file there, or take the folder off the "
            "list: zhiyin models folders --remove {folder}",
            path=model.path,
            folder=own,
        )
    listed = model.path.is_relative_to(folder)
    inside = listed and model.path.parent.resolve().is_relative_to(folder.resolve())
    if listed and not inside:
        raise ZhiyinError(
            "{path} lies in a folder of your own that a link in {folder} leads to; remove the link, or the file there.",
            path=model.path,
            folder=folder,
        )
    ours = inside or fetched_folder(model.path, downloads_folder()) is not None
    made_of = (kept for kept in kept_downloads(downloads_folder()) if kept.models == (model.path,))
    files = tuple(part for part in reversed(part_paths(model.path)) if exists(part)) if ours else ()
    return Removal(model, files, next(made_of, None))


def remove(removal: Removal, imported: ImportedFiles, *, with_download: bool = False, for_good: bool = False) -> None:
    """Move the files that are named to the system's bin, or delete them, and take the model off the list.

    Args:
        removal: of which model.
        imported: the files that are on the list though they lie elsewhere.
        with_download: delete the checkpoint too that it was made of, which its host still has.
        for_good: delete the files.

    Raises:
        NoBin: the system has no bin for them.
        ZhiyinError: the system refuses, or another process uses the download.
    """
    discard = delete_files if for_good else into_bin
    if with_download and removal.download is not None:
        delete_download(removal.download)  # before the model, without which it would be the only copy
    path = removal.model.path
    fetched = fetched_folder(path, downloads_folder())
    same = {entry for entry in imported.paths() if entry == path or is_same(entry, path)}
    if removal.files and fetched is not None:
        delete_fetched(fetched, removal.files, discard)
    else:
        discard(removal.files)
    for folder in downloads_folder().glob("*"):  # the folder may be missing
        if path in converted_from(folder):
            delete_rest(folder)
    imported.take_off(same)
