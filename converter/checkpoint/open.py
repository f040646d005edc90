"""Finds out what a source is and opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from converter.checkpoint import Checkpoint
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.shards import Shards
from models.config import Config
from models.errors import BadFile
from models.vocab.files import read_json

_INDEX = "model.safetensors.index.json"


def open_checkpoint(source: Path) -> Checkpoint:
    """Open a checkpoint's folder; only headers are read.

    Raises:
        BadFile: nothing is there, or a file is missing, truncated or damaged.
    """
    if not source.exists():
        raise BadFile(f"{source} does not exist; name the folder of a checkpoint.")
    if not source.is_dir():
        raise BadFile(f"{source} is a file; name the folder that holds config.json and the weights.")
    index = source / _INDEX
    if index.is_file():
        return Shards(source, [SafetensorsFile(path) for path in _listed(index)])
    found = sorted(source.glob("*.safetensors"))
    if not found:
        empty = "is an empty folder" if not any(source.iterdir()) else "holds no weights (*.safetensors)"
        raise BadFile(f"{source} {empty}; download the whole checkpoint.")
    return _joined(source, found, SafetensorsFile)


def read_config(source: Path) -> Config:
    """Return the configuration beside the weights.

    Raises:
        BadFile: there is none, or it is not JSON.
    """
    path = source / "config.json"
    if not path.is_file():
        raise BadFile(f"{source} has no config.json, which says what model it is; download it from the same place.")
    return Config(read_json(path), str(path))


def _listed(index: Path) -> list[Path]:
    """Return the shards that an index names, each of which must be there and lie in the same folder."""
    weights = read_json(index).get("weight_map")
    if not isinstance(weights, dict) or not weights:
        raise BadFile(f"{index} lists no weights; download it again.")
    names = sorted({name for name in weights.values() if isinstance(name, str)})
    for name in names:
        if Path(name).name != name:
            raise BadFile(f"{index} points outside its folder ({name[:80]}); get the checkpoint elsewhere.")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise BadFile(
            f"{index.parent} lacks {', '.join(missing[:4])} ({len(missing)} of {len(names)} files); download them."
        )
    return [index.parent / name for name in names]


def _joined(source: Path, files: list[Path], reader: Callable[[Path], Checkpoint]) -> Checkpoint:
    parts = [reader(path) for path in files]
    return parts[0] if len(parts) == 1 else Shards(source, parts)
