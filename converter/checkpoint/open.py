"""Finds out what a source is and opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from converter.checkpoint import Checkpoint
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.meta_llama import MetaCheckpoint, is_meta_layout
from converter.checkpoint.modules import ModulesCheckpoint
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.scaled import ScaledCheckpoint, scales_of
from converter.checkpoint.shards import Shards
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.gguf_header import is_named_gguf
from models.config import Config
from models.errors import BadFile
from models.families import config_of_tensors, family_of
from models.regular_file import is_there
from models.sentence_modules import read_modules
from models.untrusted_json import LARGEST, LARGEST_TABLE, read_bytes, read_object, read_struct

_LAYOUTS: tuple[tuple[str, tuple[str, ...], Callable[[Path], Checkpoint]], ...] = (
    ("model.safetensors.index.json", ("*.safetensors",), SafetensorsFile),
    ("pytorch_model.bin.index.json", ("pytorch_model*.bin", "*.pth", "*.pt"), TorchPickleFile),
)
"""(index, names without one, reader): safetensors first, because many repositories carry both."""
_TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")


class WeightIndex(msgspec.Struct):
    """The index of a checkpoint in several files."""

    weight_map: dict[str, str] = {}
    """Name of each tensor -> its file."""


def open_checkpoint(source: Path) -> Checkpoint:
    """Open a checkpoint's folder, or a single file of weights; only headers are read.

    Raises:
        BadFile: nothing is there, or a file is missing, truncated or damaged.
    """
    if not source.exists():
        raise BadFile("{path} does not exist; name the folder of a checkpoint.", path=source)
    if not source.is_dir():
        return _open_file(source)
    if is_meta_layout(source):
        return MetaCheckpoint(source)
    checkpoint = _open_folder(source)
    modules = read_modules(source)
    if modules is not None and modules.dense:
        return ModulesCheckpoint(
            checkpoint, {module.folder: _open_folder(source / module.folder) for module in modules.dense}
        )
    return ScaledCheckpoint(checkpoint) if scales_of(checkpoint) else checkpoint


def _open_folder(source: Path) -> Checkpoint:
    for index, patterns, reader in _LAYOUTS:
        if (source / index).is_file():
            return _joined(source, _listed(source / index), reader)
        found = next((files for pattern in patterns if (files := _weights(source, pattern))), None)
        if found:
            return _joined(source, found, reader)
    if not any(source.iterdir()):
        raise BadFile("{path} is an empty folder; download the whole checkpoint.", path=source)
    raise BadFile("{path} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.", path=source)


def _weights(source: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern, but for an adapter that lies beside the model."""
    return [path for path in sorted(source.glob(pattern)) if not path.name.startswith("adapter_model")]


def checkpoint_folder(source: Path) -> Path:
    """Return where the small files (config.json, tokenizer) of a source lie."""
    return source if source.is_dir() else source.parent


def read_config(source: Path, checkpoint: Checkpoint | None = None) -> Config:
    """Return the configuration beside the weights, or what the weights' names and shapes alone imply.

    A single file is told by its own tensors first: the folder around a downloaded `.pth` says nothing about it. Where a family
    reads its sizes off the tensors, they count before what config.json says of them.

    Args:
        source: a folder or a single file.
        checkpoint: the same, opened.

    Raises:
        BadFile: there is none, or it is not JSON.
    """
    if isinstance(checkpoint, MetaCheckpoint):
        return checkpoint.config
    if source.is_dir() and is_meta_layout(source):
        opened = MetaCheckpoint(source)
        opened.close()
        return opened.config
    path = checkpoint_folder(source) / "config.json"
    written = Config(read_object(path), str(path)) if source.is_dir() and path.is_file() else None
    shapes = {} if checkpoint is None else {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    implied = config_of_tensors(shapes, str(source if checkpoint is None else checkpoint.path))
    if implied is not None and (written is None or family_of(written) is family_of(implied)):
        named = {"_name_or_path": source.stem if source.is_file() else source.resolve().name}
        data = {} if written is None else written.data
        origin = implied.origin if written is None else written.origin
        return _config({**named, **data, **implied.data}, path, origin)
    if written is not None:
        return _config(written.data, path, written.origin)
    if path.is_file():
        return _config(read_object(path), path, str(path))
    if source.is_file():
        raise _foreign(source, shapes)
    raise BadFile(
        "{base} has no config.json, which says what model it is; download it from the same place.", base=source
    )


def _foreign(file: Path, names: Iterable[str]) -> BadFile:
    """Say what a single file of weights is that does not tell its model: only RWKV's do."""
    if any("lora_" in name for name in names):
        return BadFile(
            "{path} holds weights of a LoRA, which changes a model and is none; name the folder that holds it and "
            "adapter_config.json, or a model that it was merged into.",
            path=file,
        )
    return BadFile(
        "{path} does not say what model it is: of single files only RWKV's do, and this is another; name the "
        "folder that holds config.json and the weights.",
        path=file,
    )


def published_name(folder: Path) -> str:
    """Return the name that a folder's content was published by, as far as its path tells."""
    folder = folder.resolve()
    if folder.parent.name == "snapshots":  # the cache of huggingface_hub: models--owner--name/snapshots/revision
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def _config(data: Mapping[str, Any], path: Path, origin: str) -> Config:
    """Add to a configuration what lies around its file: its folder's name and generation_config.json."""
    generation = path.with_name("generation_config.json")
    said = read_object(generation) if generation.is_file() else None
    code = next(iter(sorted(path.parent.glob("modeling_*.py"))), None)
    text = "" if code is None else read_bytes(code, largest=LARGEST).decode("utf-8", "replace")
    return Config(data, origin, said, published_name(path.parent), text, read_modules(path.parent))


def _open_file(source: Path) -> Checkpoint:
    if is_named_gguf(source):
        return GGUFFile(source)
    if source.suffix == ".safetensors":
        return SafetensorsFile(source)
    if source.suffix in _TORCH_SUFFIXES:
        return TorchPickleFile(source)
    raise BadFile(
        "{path} is not a file of weights that Zhiyin knows ({endings}); name one, or the "
        "folder that holds config.json and the weights.",
        path=source,
        endings=", ".join((".safetensors", ".gguf", *_TORCH_SUFFIXES)),
    )


def _listed(index: Path) -> list[Path]:
    """Return the shards that an index names, each of which must be there and lie in the same folder."""
    names = sorted(set(read_struct(index, WeightIndex, largest=LARGEST_TABLE).weight_map.values()))
    if not names:
        raise BadFile("{path} lists no weights; download it again.", path=index)
    for name in names:
        if Path(name).name != name:
            raise BadFile(
                "{path} points outside its folder ({name}); get the checkpoint elsewhere.", path=index, name=name[:80]
            )
    missing = [name for name in names if not is_there(index.parent / name)]
    if missing:
        raise BadFile(
            "{folder} lacks {names} ({part} of {total} files); download them.",
            folder=index.parent,
            names=", ".join(name[:80] for name in missing[:4]),
            part=len(missing),
            total=len(names),
        )
    return [index.parent / name for name in names]


def _joined(source: Path, files: list[Path], reader: Callable[[Path], Checkpoint]) -> Checkpoint:
    parts = [reader(path) for path in files]
    return parts[0] if len(parts) == 1 else Shards(source, parts)
