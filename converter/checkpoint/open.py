"""Finds out what a source is and opens it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converter.checkpoint import Checkpoint
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.listed_files import ListedFiles
from converter.checkpoint.meta_llama import MetaCheckpoint, is_meta_layout
from converter.checkpoint.modules import ModulesCheckpoint
from converter.checkpoint.scaled import ScaledCheckpoint, block_size, scales_of
from converter.checkpoint.weight_files import TORCH_SUFFIXES, is_weight_file, open_weight_file, open_weights
from converter.gguf_header import is_named_gguf
from models.config import Config
from models.errors import BadFile
from models.families import config_of_tensors, family_of, understood
from models.sentence_modules import read_modules
from models.untrusted_json import LARGEST, read_bytes, read_object


def open_checkpoint(source: Path, weights: Path | None = None) -> Checkpoint:
    """Open a checkpoint's folder, or a single file of weights; only headers are read.

    Args:
        source: the folder or file.
        weights: which of the folder's files of weights is meant, where there are several sets.

    Raises:
        BadFile: nothing is there, or a file is missing, truncated or damaged.
    """
    if not source.exists():
        raise BadFile("{path} does not exist; name the folder of a checkpoint.", path=source)
    if not source.is_dir():
        return scaled(source, _open_file(source))
    if weights is None and is_meta_layout(source):
        return MetaCheckpoint(source)
    checkpoint = open_weights(source, weights)
    modules = read_modules(source)
    if modules is not None and modules.dense:
        return ModulesCheckpoint(
            checkpoint, {module.folder: open_weights(source / module.folder) for module in modules.dense}
        )
    return scaled(source, checkpoint)


def listed_files(checkpoint: Checkpoint) -> ListedFiles | None:
    """Return what an opened checkpoint reads by an index; None: it has none."""
    if isinstance(checkpoint, ModulesCheckpoint):
        return listed_files(checkpoint.base)
    if isinstance(checkpoint, ScaledCheckpoint):
        return listed_files(checkpoint.inner)
    return checkpoint if isinstance(checkpoint, ListedFiles) else None


def scaled(source: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose 8-bit tensors, where it has scales of them, are multiplied by these."""
    if not scales_of(checkpoint):
        return checkpoint
    path = checkpoint_folder(source) / "config.json"
    config = Config(read_object(path), str(path)) if path.is_file() else Config({})
    return ScaledCheckpoint(checkpoint, block_size(config))


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
    written = understood(Config(read_object(path), str(path))) if source.is_dir() and path.is_file() else None
    shapes = {} if checkpoint is None else {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    implied = config_of_tensors(shapes, str(source if checkpoint is None else checkpoint.path))
    if implied is not None and (written is None or family_of(written, tensors_decide=True) is family_of(implied)):
        named = {"_name_or_path": source.stem if source.is_file() else source.resolve().name}
        data = {} if written is None else written.data
        origin = implied.origin if written is None else written.origin
        return _config({**named, **data, **implied.data}, path, origin)
    if written is not None:
        return _config(written.data, path, written.origin)
    if path.is_file():
        return _config(understood(Config(read_object(path), str(path))).data, path, str(path))
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
    generation_config = read_object(generation) if generation.is_file() else None
    code = next(iter(sorted(path.parent.glob("modeling_*.py"))), None)
    text = "" if code is None else read_bytes(code, largest=LARGEST).decode("utf-8", "replace")
    return Config(data, origin, generation_config, published_name(path.parent), text, read_modules(path.parent))


def _open_file(source: Path) -> Checkpoint:
    if is_named_gguf(source):
        return GGUFFile(source)
    if is_weight_file(source):
        return open_weight_file(source)
    raise BadFile(
        "{path} is not a file of weights that Zhiyin knows ({endings}); name one, or the "
        "folder that holds config.json and the weights.",
        path=source,
        endings=", ".join((".safetensors", ".gguf", *TORCH_SUFFIXES)),
    )
