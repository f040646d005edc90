"""Repositories of one tiny model in several files of weights, with a byte-level tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from models.vocab.byte_level import written
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import Repository
from tests.support.random_llama import Checkpoint
from tests.support.torch_files import write_torch

END = 256
VOCABULARY = {"vocab_size": 257, "eos_token_id": END}
"""The keys of config.json that the tokenizer wants."""


def sharded_source(folder: Path, model: Checkpoint, shards: int, *, torch: bool = False) -> Path:
    """Write a model's checkpoint; its tensors lie in the files by turns, so that what belongs together is torn apart.

    Args:
        folder: where.
        model: its configuration and weights.
        shards: how many files.
        torch: as torch.save wrote them, instead of safetensors.
    """
    config, weights = model
    if torch:
        source = _write_torch(folder, config, weights, shards)
    else:
        source = write_checkpoint(folder, config, weights, shards=shards, dtype="BF16")
    end = {"id": END, "content": "<end>", "special": True}
    model_part = {"type": "BPE", "vocab": {written(bytes([byte])): byte for byte in range(256)}, "merges": []}
    tokenizer = {
        "added_tokens": [end],
        "pre_tokenizer": {"type": "ByteLevel", "use_regex": True},
        "model": model_part,
    }
    (source / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}), "utf-8")
    return source


def repository_of(source: Path) -> Repository:
    """Return a repository with a folder's files."""
    return Repository({"main": {path.name: path.read_bytes() for path in source.iterdir()}})


def _write_torch(folder: Path, config: Mapping[str, Any], weights: Mapping[str, np.ndarray], shards: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    weight_map, names = {}, list(weights)
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: weights[name].astype(ml_dtypes.bfloat16) for name in names[number::shards]}
        write_torch(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map}), "utf-8"
    )
    return folder
