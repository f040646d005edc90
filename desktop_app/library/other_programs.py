"""Models that other programs keep on this computer: found where each of them puts its files, used there, never changed.

Places and layouts are those of the programs' own documentation: Ollama (manifests that name blobs), LM Studio, Jan, GPT4All,
llama.cpp's cache, and the caches of huggingface_hub and ModelScope.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from converter.gguf_header import is_first_part, is_gguf, split_parts
from models.errors import ZhiyinError
from models.untrusted_json import read_struct

_MODEL_LAYER = "application/vnd.ollama.image.model"
_MOST_FILES = 20_000


@dataclass(frozen=True)
class FoundModel:
    """A GGUF file of another program."""

    program: str
    name: str
    """As that program calls it."""
    path: Path
    """Of a split model the first part."""
    bytes: int


class _Layer(msgspec.Struct):
    mediaType: str = ""  # noqa: N815 - Ollama's name
    digest: Annotated[str, msgspec.Meta(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""


class _Manifest(msgspec.Struct):
    """One of Ollama's, as far as it is used."""

    layers: list[_Layer] = []


def found_models() -> list[FoundModel]:
    """Return the models of all programs, each file once, in the order of programs and names."""
    by_inode: dict[tuple[int, int], FoundModel] = {}
    for model in (*_ollama(), *_of_folders()):
        with suppress(OSError):
            status = model.path.stat()
            by_inode.setdefault((status.st_dev, status.st_ino), model)
    return sorted(by_inode.values(), key=lambda model: (model.program, model.name.lower()))


def name_of_blob(path: Path) -> str:
    """Return what Ollama calls one of its blobs, whose own name is a hash; "": it is none."""
    if path.parent.name != "blobs" or not path.name.startswith("sha256-"):
        return ""
    return next((name for name, blob in _named_blobs(path.parent.parent) if blob.name == path.name), "")


def _ollama() -> Iterator[FoundModel]:
    for folder in _places("OLLAMA_MODELS", _home(".ollama", "models"), Path("/usr/share/ollama/.ollama/models")):
        for name, blob in _named_blobs(folder):
            if is_gguf(blob):
                yield FoundModel("Ollama", name, blob, blob.stat().st_size)


def _named_blobs(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names of Ollama's models and their weights' files: manifests/HOST/OWNER/MODEL/TAG names blobs/sha256-…."""
    manifests = folder / "manifests"
    for path in _files(manifests, depth=4):
        host, *owner, model, tag = path.relative_to(manifests).parts
        if not owner:
            continue
        with suppress(ZhiyinError, OSError):
            for layer in read_struct(path, _Manifest).layers:
                if layer.mediaType == _MODEL_LAYER and layer.digest:
                    short = f"{model}:{tag}" if owner == ["library"] else f"{'/'.join(owner)}/{model}:{tag}"
                    known = host == "registry.ollama.ai"
                    yield short if known else f"{host}/{short}", folder / "blobs" / layer.digest.replace(":", "-")


def _of_folders() -> Iterator[FoundModel]:
    for program, folder in _folders():
        for path in _files(folder, depth=6):
            with suppress(OSError, ZhiyinError):
                if path.suffix.lower() == ".gguf" and is_gguf(path) and is_first_part(path) and not _is_projector(path):
                    yield FoundModel(program, path.stem, path, sum(part.stat().st_size for part in split_parts(path)))


def _folders() -> Iterator[tuple[str, Path]]:
    data = _data_folder()
    places = {
        "LM Studio": (_home(".lmstudio", "models"), _home(".cache", "lm-studio", "models")),
        "Jan": (data / "Jan" / "data" / "llamacpp" / "models", _home("jan", "models")),
        "GPT4All": (data / "nomic.ai" / "GPT4All",),
    }
    for program, folders in places.items():
        yield from ((program, folder) for folder in folders)
    yield from (("llama.cpp", folder) for folder in _places("LLAMA_CACHE", _cache_folder() / "llama.cpp"))
    hub = Path(os.environ.get("HF_HOME") or _home(".cache", "huggingface"))
    yield from (("Hugging Face", folder) for folder in _places("HF_HUB_CACHE", hub / "hub"))
    yield from (("ModelScope", folder) for folder in _places("MODELSCOPE_CACHE", _home(".cache", "modelscope")))


def _places(variable: str, *usual: Path) -> list[Path]:
    """Return the one folder that an environment variable names, or the usual ones."""
    named = os.environ.get(variable)
    return [Path(named)] if named else list(usual)


def _home(*parts: str) -> Path:
    return Path.home().joinpath(*parts)


def _data_folder() -> Path:
    """Return where programs keep data on this system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home("AppData", "Local"))
    if sys.platform == "darwin":
        return _home("Library", "Application Support")
    return Path(os.environ.get("XDG_DATA_HOME") or _home(".local", "share"))


def _cache_folder() -> Path:
    if sys.platform == "win32":
        return _data_folder()
    if sys.platform == "darwin":
        return _home("Library", "Caches")
    return Path(os.environ.get("XDG_CACHE_HOME") or _home(".cache"))


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files in a folder and so many below it; links to files are followed, links to folders are not."""
    seen = 0
    for here, folders, names in os.walk(folder):
        inside = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(folders) if inside < depth else []
        seen += len(names)
        if seen > _MOST_FILES:
            return
        yield from (Path(here, name) for name in sorted(names))


def _is_projector(path: Path) -> bool:
    """Tell whether a file belongs to a model that sees: no model by itself."""
    return "mmproj" in path.name.lower()
