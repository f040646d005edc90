"""Checkpoints of any size with random weights, in F16 and in the layout that a family's configuration promises."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.config import Config
from models.families import family_of
from models.family import Shape

_SHARD_BYTES = 2_000_000_000
_POOL = 1 << 24
"""Numbers that are drawn once; a tensor takes them from a random place on, again and again."""


def write_large_checkpoint(folder: Path, config: Mapping[str, Any], seed: int = 0) -> Path:
    """Write config.json, shards of safetensors and their index; nothing of it is in memory at once."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal(_POOL, np.float32)
    shards = list(_shards(shapes_of(config)))
    weight_map = {}
    for number, shapes in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        with (folder / file).open("wb") as stream:
            stream.write(_header(shapes))
            for name, shape in shapes.items():
                _write(stream, name, shape, pool, rng)
        weight_map |= dict.fromkeys(shapes, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), "utf-8")
    return folder


def shapes_of(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Return the tensors that a checkpoint of this configuration must hold."""
    parsed = Config(config)
    blueprint = family_of(parsed).blueprint(parsed, None)
    return {source.name: source.shape for tensor in blueprint.tensors for source in tensor.sources}


def _shards(shapes: Mapping[str, Shape]) -> Iterator[dict[str, Shape]]:
    shard: dict[str, Shape] = {}
    size = 0
    for name, shape in shapes.items():
        if shard and size + 2 * prod(shape) > _SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = shape
        size += 2 * prod(shape)
    yield shard


def _header(shapes: Mapping[str, Shape]) -> bytes:
    entries, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 2 * prod(shape)
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _write(stream: BinaryIO, name: str, shape: Shape, pool: np.ndarray, rng: np.random.Generator) -> None:
    """Write a matrix that keeps activations near 1, or a vector near 1 (a norm's weight) or 0 (a bias)."""
    if len(shape) == 1:
        center = 0.0 if name.endswith(".bias") else 1.0
        stream.write((center + 0.05 * rng.standard_normal(shape)).astype(np.float16).tobytes())
        return
    scaled = (pool / np.sqrt(shape[-1])).astype(np.float16)
    left = prod(shape)
    while left:
        start = int(rng.integers(len(scaled)))
        part = scaled[start : start + left]
        stream.write(part.data)
        left -= len(part)
