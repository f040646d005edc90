"""Repositories of one tiny model in several files of weights, with a byte-level tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

from models.vocab.byte_level import written
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import Repository
from tests.support.random_llama import Checkpoint

END = 256
VOCABULARY = {"vocab_size": 257, "eos_token_id": END}
"""The keys of config.json that the tokenizer wants."""


def sharded_source(folder: Path, model: Checkpoint, shards: int) -> Path:
    """Write a model's checkpoint; its tensors lie in the files by turns, so that what belongs together is torn apart."""
    config, weights = model
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
