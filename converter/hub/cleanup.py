"""Downloads that are not needed any more: what they take, and how they are deleted.

Only files that our own manifest names are touched, in folders that we made. With a converted checkpoint GGUF files, which are
models themselves, stay, and so does the note: it knows which models came from there. With the last of these it all goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from converter.gguf_header import is_named_gguf
from converter.hub.manifest import (
    NOTE,
    alone,
    conversions_by_source,
    read_manifest,
    read_origin,
    verified_files,
    write_manifest,
)
from converter.hub.selection import is_small
from models.errors import BadFile, ZhiyinError
from models.system_errors import cannot_write
from models.system_reasons import system_reason

Discard = Callable[[Iterable[Path]], None]
"""Takes files away."""


@dataclass(frozen=True)
class KeptDownload:
    """A checkpoint that was fetched and converted."""

    folder: Path
    repository: str
    """ORG/NAME."""
    source: str
    """The file that was converted, one of several checkpoints in the folder; "": the whole folder."""
    files: tuple[Path, ...]
    bytes: int
    """Of all files."""
    models: tuple[Path, ...]
    """What was made of it."""

    @property
    def name(self) -> str:
        """ORG/NAME or ORG/NAME/FILE."""
        return f"{self.repository}/{self.source}" if self.source else self.repository


def kept_downloads(downloads: Path) -> list[KeptDownload]:
    """Return what may be deleted of the folder of all downloads: checkpoints whose converted models are there."""
    if not downloads.is_dir():
        return []
    folders = sorted(folder for folder in downloads.iterdir() if (folder / NOTE).is_file() and not folder.is_symlink())
    return [kept for folder in folders for kept in _kept_in(folder)]


def delete_download(kept: KeptDownload) -> None:
    """Delete a checkpoint's files; its models, the note and all other files of the folder stay.

    Raises:
        ZhiyinError: the models are gone, another process uses the folder, or the system refuses; what is left stays noted.
    """
    if not any(path.is_file() for path in kept.models):
        raise ZhiyinError(
            "The model made of {name} is gone; convert it again, or delete {path} yourself.",
            name=kept.name,
            path=kept.folder,
        )
    _delete_all(kept.folder, kept.repository, kept.files, delete_files)


def fetched_folder(model: Path, downloads: Path) -> Path | None:
    """Return the folder of the download that a GGUF file came with; None: it did not come so."""
    try:
        folder = downloads.resolve() / model.resolve().relative_to(downloads.resolve()).parts[0]
    except (ValueError, IndexError):
        return None
    noted = verified_files(read_manifest(folder))
    return folder if any((folder / name).resolve() == model.resolve() for name in noted) else None


def delete_fetched(folder: Path, files: Iterable[Path], discard: Discard | None = None) -> None:
    """Delete a GGUF model that was fetched, and what lies beside it where that is of no use any more.

    Args:
        folder: what `fetched_folder` returned.
        files: the model's parts, in that folder.
        discard: takes files away; None: `delete_files`.

    Raises:
        ZhiyinError: another process uses the folder, or the system refuses; what is left stays noted.
    """
    origin = read_origin(folder)
    _delete_all(folder, folder.name if origin is None else origin.repository, files, discard or delete_files)
    delete_rest(folder)


def delete_rest(folder: Path) -> None:
    """Delete what is left of a download without weights or models made of it: cards, configuration, our note.

    Files that were not fetched stay; so does everything that another process uses.
    """
    origin = read_origin(folder)
    if origin is None or folder.is_symlink():
        return
    with suppress(ZhiyinError, OSError), alone(folder, origin.repository):
        if _is_of_use(folder):
            return
        for name in filter(partial(_uses_graph_runner, folder), verified_files(read_manifest(folder))):
            delete_files([folder / name])
            forget_files(folder, [folder / name])
        (folder / NOTE).unlink(missing_ok=True)
        for path in sorted(folder.rglob("*"), reverse=True):
            with suppress(OSError):  # a file, or a folder with files
                path.rmdir()


def delete_files(files: Iterable[Path]) -> None:
    """Delete files.

    Raises:
        BadFile: the system refuses.
    """
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise BadFile(
                "{path} cannot be deleted: {reason}; close what uses it.", path=file, reason=system_reason(error)
            ) from error


def forget_files(folder: Path, files: Iterable[Path]) -> None:
    """Take files that are deleted off a folder's note."""
    gone = {file.relative_to(folder).as_posix() for file in files}
    note = read_manifest(folder)
    if noted := verified_files(note):
        kept = {name: entry for name, entry in noted.items() if name not in gone}
        write_manifest(folder, note | {"files": kept})


def _delete_all(folder: Path, repository: str, files: Iterable[Path], discard: Discard) -> None:
    try:
        with alone(folder, repository):
            for file in files:
                discard([file])
                forget_files(folder, [file])
    except OSError as error:
        raise cannot_write(folder, error) from error


def _kept_in(folder: Path) -> Iterator[KeptDownload]:
    origin = read_origin(folder)
    if origin is None:
        return
    verified = {
        name: folder / name for name in verified_files(read_manifest(folder)) if _uses_graph_runner(folder, name)
    }
    for source, models in conversions_by_source(folder).items():
        files = tuple(path for name, path in verified.items() if source in ("", name) and path not in models)
        if files:
            size = sum(path.stat().st_size for path in files)
            yield KeptDownload(folder, origin.repository, source, files, size, tuple(models))


def _is_of_use(folder: Path) -> bool:
    """Tell whether a download has weights, or a part of some, or there is a model that was made of it."""
    weights = (
        name for name in verified_files(read_manifest(folder)) if not is_small(name) and (folder / name).is_file()
    )
    return any(weights) or any(folder.rglob(".*.part")) or bool(conversions_by_source(folder))


def _uses_graph_runner(folder: Path, name: str) -> bool:
    """Tell whether a noted file is one that was fetched: no model in use, and nothing outside that a link leads to."""
    root = folder.resolve()
    path = (folder / name).resolve()
    inside = path.is_relative_to(root) and path == root / name
    return inside and path.is_file() and not is_named_gguf(path)
