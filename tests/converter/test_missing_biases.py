"""Biases that config.json speaks of and no tensor has are none; where some layers have them, the others must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, plan
from models.errors import BadFile
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


def names(folder: Path, config: dict[str, Any], weights: dict[str, np.ndarray]) -> set[str]:
    planned = plan(ConvertRequest(write_checkpoint(folder, config, weights), None, "F32", tokenizer="none"))
    return {tensor.name for part in planned.parts for tensor in part.layout.tensors}


def test_none_are_there(tmp_path: Path) -> None:
    config, weights = random_llama()
    assert not any(
        "bias" in name for name in names(tmp_path, config | {"attention_bias": True, "mlp_bias": True}, weights)
    )


def test_one_is_missing(tmp_path: Path) -> None:
    config, weights = random_llama(biases=("q", "k", "v", "o"))
    del weights["model.layers.1.self_attn.k_proj.bias"]
    with pytest.raises(BadFile, match=r"has no tensor model\.layers\.1\.self_attn\.k_proj\.bias"):
        names(tmp_path, config | {"attention_bias": True}, weights)


def test_an_empty_tensor_is_told_by_what_leaves_it_empty(tmp_path: Path) -> None:
    config, weights = random_llama()
    weights["model.layers.1.mlp.down_proj.weight"] = np.zeros(0, np.float32)
    with pytest.raises(BadFile, match="ZeRO-3 keeps weights in pieces"):
        names(tmp_path, config, weights)
