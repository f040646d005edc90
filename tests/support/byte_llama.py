"""A tiny LLaMA whose tokens are bytes, for an engine that reads and writes texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from converter.pipeline import ConvertRequest, convert
from models.vocab.byte_level import written
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


def byte_llama(folder: Path, **changes: Any) -> Path:
    """Write a model without a chat template, trained for 4,096 tokens; `changes` go into the configuration."""
    config, weights = random_llama(vocab_size=257, eos_token_id=256, max_position_embeddings=4096, **changes)
    source = write_checkpoint(folder / "checkpoint", config, weights)
    write_byte_tokenizer(source)
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


def write_byte_tokenizer(folder: Path) -> None:
    """Write the tokenizer of a checkpoint of at least 257 tokens: the bytes, and an end."""
    end = {"id": 256, "content": "<end>", "special": True}
    model = {"type": "BPE", "vocab": {written(bytes([byte])): byte for byte in range(256)}, "merges": []}
    tokenizer = {"added_tokens": [end], "pre_tokenizer": {"type": "ByteLevel", "use_regex": True}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}), "utf-8")
