"""Small RWKV models that chat, with the World vocabulary and random weights."""

from __future__ import annotations

import re
from pathlib import Path

from converter.pipeline import ConvertRequest, convert
from models.vocab.rwkv_world import WORLD_SIZE, world_tokens
from tests.support.checkpoints import write_checkpoint
from tests.support.random_rwkv import random_rwkv

CLASSES = {"4": "RwkvForCausalLM", "7": "RWKV7ForCausalLM"}
_WORD = re.compile(rb" [a-z]{2,}")


def world_model(folder: Path, version: str, name: str = "RWKV-world") -> Path:
    """Make a model that replies in words after blanks: as in replies of trained ones, a reply's tokens are its text's."""
    tensors = random_rwkv(version, 3, hidden=64, rows=WORLD_SIZE, size=32 if version == "4" else 64)
    for number, token in enumerate(world_tokens()):
        if not _WORD.fullmatch(token):
            tensors["head.weight"][number] = 0
    config = {"architectures": [CLASSES[version]], "_name_or_path": name}
    out = folder / "model.gguf"
    convert(ConvertRequest(write_checkpoint(folder / "checkpoint", config, tensors), out, "F32"))
    return out
