"""Another name for a model: its file, and everything that knows the model by its file's name, wherever a rename is cut off."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from converter.atomic_write import write_atomically
from converter.gguf_header import part_paths
from converter.hub.manifest import converted_from, read_manifest, write_manifest
from desktop_app.library.file_names import exists, shown_name
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_care import follow_uses, model_facts
from desktop_app.library.model_settings import follow_renames, store_model_settings
from desktop_app.paths import downloads_folder, rename_file
from models.errors import ZhiyinError
from models.system_errors import cannot_write

_LONGEST = 120
"""Characters of a name."""
_NO_NAME = '/\\:*?"<>|'


@dataclass(frozen=True)
class _Rename:
    """What is written down before a file gets another name."""

    path: str
    target: str
    identifier: str
    renamed: str
    """The identifier of the target."""
    size: int
    modified: int
    """Nanoseconds; with the size these tell the file from another one of its name."""


def rename_model(model: InstalledModel, name: str) -> Path:
    """Give a model another name and return its path; a single file of the models folder is called like it.

    A model in several files, or outside the models folder, is only listed under its new name: other programs may use its files.

    Raises:
        ZhiyinError: it is no name, it is taken, or the system refuses.
    """
    if model.starter:
        raise ZhiyinError("{name} comes with the application and keeps its name.", name=model.name)
    name = name.strip().removesuffix(".gguf")
    usable = 0 < len(name) <= _LONGEST and name.isprintable() and not name.startswith(".")
    if not usable or any(sign in _NO_NAME for sign in name):
        raise ZhiyinError("{name!r} cannot be a file's name; choose another one.", name=name[:80])
    target = model.path.with_name(f"{name}.gguf")
    if not model_facts(model).is_ours:
        listed = "" if name == shown_name(model.path) else name
        store_model_settings(model.identifier, replace(model.own, name=listed))
        return model.path
    if len(part_paths(target)) != 1:
        raise ZhiyinError("{name!r} cannot be a file's name; choose another one.", name=name[:80])
    if exists(target):
        raise ZhiyinError("{path} is there already; choose another name.", path=target)
    try:
        _rename(model, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def finish_rename() -> None:
    """Let everything know a file by its new name that a process renamed before it was killed; what the system refuses waits."""
    if not rename_file().is_file():
        return
    with suppress(OSError, ZhiyinError):
        try:
            begun = _Rename(**json.loads(rename_file().read_text("utf-8")))
            target = Path(begun.target)
            status = target.stat()
            is_it = (status.st_size, status.st_mtime_ns) == (begun.size, begun.modified)
        except (FileNotFoundError, ValueError, TypeError):
            return  # it has its former name: nothing happened, or not yet
        if is_it and not Path(begun.path).exists():
            _follow(begun)


def _rename(model: InstalledModel, target: Path) -> None:
    status = model.path.stat()
    renamed = Path(model.identifier).with_name(target.name).as_posix()
    begun = _Rename(str(model.path), str(target), model.identifier, renamed, status.st_size, status.st_mtime_ns)
    write_atomically(rename_file(), json.dumps(asdict(begun), ensure_ascii=False))
    model.path.rename(target)
    _follow(begun)


def _follow(begun: _Rename) -> None:
    """Do what follows the new name; nothing changes where it is done already."""
    _note_name(Path(begun.path), Path(begun.target))
    follow_renames({begun.identifier: begun.renamed})
    follow_uses({begun.identifier: begun.renamed})
    rename_file().unlink(missing_ok=True)


def _note_name(path: Path, target: Path) -> None:
    """Let the note of the download that a model was made of name the file as it is called now."""
    for folder in downloads_folder().glob("*"):
        if path in converted_from(folder):
            note = read_manifest(folder)
            made: dict[str, Any] = {
                key: {**entry, "path": str(target)} if entry.get("path") == str(path) else entry
                for key, entry in note["converted"].items()
            }
            write_manifest(folder, {**note, "converted": made})
