"""The installed models: GGUF files in the models folder, files elsewhere that were imported, and the starter model.

A model is one identity, its path, and is shown by its name, which others may have too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from converter.atomic_write import is_unfinished
from converter.gguf_checks import check_model, read_parts
from converter.gguf_header import is_gguf, is_named_gguf, part_paths
from desktop_app.library.copying import copy_model
from desktop_app.library.description import Descriptions, NoModel
from desktop_app.library.file_names import exists, is_same, plain_path, same_file, shown_name
from desktop_app.library.further_folders import further_folders, gone
from desktop_app.library.imported_files import ImportedFiles
from desktop_app.library.installed_model import BrokenModel, Entry, InstalledModel, Listing, ModelSettings
from desktop_app.library.model_names import labelled, named, the_one
from desktop_app.library.model_settings import all_model_settings, forget_model
from desktop_app.library.origins import Origins
from desktop_app.library.packs import is_pack, unpack
from desktop_app.library.removal import Removal, plan_removal
from desktop_app.library.removal import remove as remove_model
from desktop_app.library.scan import find_models
from desktop_app.library.starter import starter_model
from desktop_app.paths import downloads_folder, left_storage, rename_file, require_storage, storage_away
from models.errors import BadFile, ZhiyinError
from models.sentence import Sentence


class Library:
    """The installed models, found by reading GGUF headers only."""

    def __init__(self, folder: Path) -> None:
        """Look after `folder`; imported files stay where they are and are listed in it."""
        self._folder = folder
        self._imported = ImportedFiles(folder)
        self._descriptions = Descriptions(folder)

    def listing(self) -> Listing:
        """Return the models, and what cannot be used with the reason."""
        if rename_file().is_file() or left_storage() is not None:  # a process was killed, or is just about it
            from desktop_app.library.renaming import finish_rename
            from desktop_app.library.storage import follow_move

            finish_rename()
            follow_move()
        scanned = find_models(self._folder)
        if (away := storage_away()) is not None:
            scanned.unreadable.append((self._folder, away))
        for folder in further_folders():
            further = find_models(folder, is_ours=False)
            scanned.files += further.files
            scanned.unreadable += further.unreadable if folder.is_dir() else [(folder, gone(folder))]
        origins, own = Origins(downloads_folder()), all_model_settings()
        models: dict[tuple[int, int, str, str], InstalledModel] = {}
        broken = [self._descriptions.broken(path, error) for path, error in scanned.unreadable]
        for path in (*scanned.files, *self._imported.paths()):
            try:
                model = self._descriptions.of(path)
                origin, sha256 = origins.of(path)
                model = replace(model, origin=origin, sha256=sha256, identifier=self._descriptions.identifier(path))
                models.setdefault(same_file(path), model)
            except NoModel:
                continue
            except (ZhiyinError, OSError) as error:
                broken.append(
                    self._descriptions.broken(
                        path, error if isinstance(error, ZhiyinError) and exists(path) else _gone(path)
                    )
                )
        known = [_with_own(model, own) for model in models.values()]
        ordered = sorted(known, key=lambda model: (model.name.lower(), str(model.path)))
        starter = self.starter()
        return Listing(labelled([*ordered, _with_own(starter, own)] if starter is not None else ordered), broken)

    def models(self) -> list[InstalledModel]:
        """Return all models by name."""
        return self.listing().models

    def find(self, name_or_path: str, *, also: Sequence[str] = ()) -> InstalledModel:
        """Return the model with a name, or the GGUF file at a path.

        Args:
            name_or_path: as the user typed it.
            also: further names, which the sentence lists where nothing is found.

        Raises:
            AmbiguousModel: several models have the name.
            ZhiyinError: neither exists, or it cannot be used; the sentence lists the names.
        """
        listing = self.listing()
        matches: list[Entry] = named(listing.models, name_or_path)
        path = plain_path(name_or_path)
        if exists(path) and not path.is_dir():
            known = next((model for model in listing.models if is_same(model.path, path)), None)
            if known is None and (not matches or is_gguf(path)):
                known = self._descriptions.of(part_paths(path)[0])
            matches += [known] if known is not None and known not in matches else []
        return self._only(name_or_path, matches or named(listing.broken, name_or_path), listing, also)

    def find_installed(self, name_or_path: str) -> Entry:
        """Return what is on the list with a name or path, also where it cannot be used.

        Raises:
            AmbiguousModel: several have the name.
            ZhiyinError: none has.
        """
        listing = self.listing()
        path = plain_path(name_or_path)
        entries: list[Entry] = [*listing.models, *listing.broken]
        matches = named(entries, name_or_path) or [entry for entry in entries if is_same(entry.path, path)]
        if not matches:
            raise ZhiyinError(
                "There is no installed model named {name!r}; `zhiyin models` lists them.", name=name_or_path
            )
        return the_one(name_or_path, matches)

    def starter(self) -> InstalledModel | None:
        """Return the small model that comes with the application, if it is there."""
        return starter_model(self._descriptions)

    def import_file(self, path: Path, *, copy: bool = False) -> InstalledModel:
        """Add a GGUF file, where it lies or copied into the models folder, or the model of a pack (`library.packs`).

        Raises:
            ZhiyinError: it is no good GGUF model, or could not be added; nothing was.
        """
        require_storage()
        if is_pack(path):
            path = unpack(path, self._folder)
        path = part_paths(plain_path(path))[0]
        if path.is_dir():
            raise BadFile("{path} is a folder; convert it first: zhiyin convert {path}", path=path)
        if is_unfinished(path):
            raise BadFile("{path} is an unfinished file; wait until it has its name.", path=path)
        check_model(read_parts(path))
        if copy:
            path = copy_model(path, self._folder)
        elif not any(is_same(model.path, path) for model in self.models()):
            self._imported.add(path)
        model = next((model for model in self.models() if is_same(model.path, path)), None)
        if model is None:
            raise BadFile("{path} vanished while it was imported; import it again.", path=path)
        return model

    def removal(self, model: Entry) -> Removal:
        """Return what it would mean to remove a model: files of ours are deleted, and the user's own ones stay."""
        return plan_removal(model, self._folder)

    def remove(self, removal: Removal, *, with_download: bool = False, for_good: bool = False) -> None:
        """Take a model off the list and its files away, as `removal.remove` does."""
        remove_model(removal, self._imported, with_download=with_download, for_good=for_good)
        forget_model(removal.model.identifier)

    def _only(self, name: str, matches: Sequence[Entry], listing: Listing, also: Sequence[str]) -> InstalledModel:
        """Return the one model that was found; raises where there is none, or more than one."""
        if matches:
            entry = the_one(name, matches)
            if isinstance(entry, BrokenModel):
                raise entry.error
            return entry
        if plain_path(name).is_dir():
            raise ZhiyinError("{path} is a folder; convert it first: zhiyin convert {path}", path=name)
        raise ZhiyinError(
            "There is no model and no file named {path!r}; the installed models are: {names}.",
            path=name,
            names=(*(model.label for model in listing.models), *also) or Sentence("none yet"),
        )


def finished_models(path: Path) -> list[Path]:
    """Return what can be imported as it is: a GGUF file, a pack, or those that are all a folder has of models."""
    if path.is_dir():
        return (
            [] if (path / "config.json").exists() else [file for file in find_models(path).files if file.parent == path]
        )
    return [path] if is_named_gguf(path) or is_pack(path) else []


def _with_own(model: InstalledModel, settings: Mapping[str, ModelSettings]) -> InstalledModel:
    """Return a model with what the user set for it, and the name that the user gave it."""
    own = settings.get(model.identifier, ModelSettings())
    name = own.name or model.name
    return replace(model, own=own, name=name, label=name)


def _gone(path: Path) -> BadFile:
    return BadFile(
        "{path} is not there any more; put it back, or take it off the list: zhiyin models remove {name}",
        path=path,
        name=shown_name(path),
    )
