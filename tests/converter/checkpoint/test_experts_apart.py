"""Packed experts become the very file that experts of their own become."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.prepared import open_prepared
from converter.pipeline import ConvertRequest, convert
from tests.support.checkpoints import write_checkpoint
from tests.support.random_latent import random_deepseek3
from tests.support.random_llama import random_mixtral, random_qwen2_moe, random_qwen3_moe
from tests.support.random_shared_experts import random_glm4_moe

Weights = dict[str, np.ndarray]
_EXPERT = re.compile(r"(.+\.)([^.]+)\.experts\.(\d+)\.(\w+)\.weight")
_WORDS = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}


def _packed(weights: Weights, *, halves: bool) -> Weights:
    """Pack as transformers 5 holds them (`halves`: gate and up in one), or as MLX does."""
    parts: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    kept: Weights = {}
    for name, tensor in weights.items():
        match = _EXPERT.fullmatch(name)
        if match is None:
            kept[name.replace("block_sparse_moe.", "mlp.")] = tensor
        else:
            parts.setdefault((match[1], _WORDS.get(match[4], match[4])), {})[int(match[3])] = tensor
    stacks = {key: np.stack([experts[number] for number in sorted(experts)]) for key, experts in parts.items()}
    if not halves:
        return kept | {f"{above}mlp.switch_mlp.{part}.weight": stack for (above, part), stack in stacks.items()}
    for above, part in stacks:
        if part == "gate_proj":
            both = np.concatenate([stacks[above, "gate_proj"], stacks[above, "up_proj"]], axis=1)
            kept[f"{above}mlp.experts.gate_up_proj"] = both
            kept[f"{above}mlp.experts.down_proj"] = stacks[above, "down_proj"]
    return kept


@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize(
    "make", [random_qwen3_moe, random_qwen2_moe, random_mixtral, random_deepseek3, random_glm4_moe]
)
def test_the_file_is_the_same(make: Callable[[], tuple[dict[str, Any], Weights]], halves: bool, tmp_path: Path) -> None:
    config, weights = make()
    files = []
    for name, tensors in (("apart", weights), ("packed", _packed(weights, halves=halves))):
        folder = write_checkpoint(tmp_path / name / "checkpoint", config, tensors)
        out = tmp_path / name / "model.gguf"
        result = convert(ConvertRequest(folder, out, "F16", tokenizer="none"))
        assert not any("Left out" in str(warning) for warning in result.warnings)
        files.append(result.path.read_bytes())
    assert files[0] == files[1]


def test_a_tensor_says_what_it_is_read_from(tmp_path: Path) -> None:
    config, weights = random_qwen3_moe()
    opened = open_prepared(write_checkpoint(tmp_path / "checkpoint", config, _packed(weights, halves=True)))
    try:
        name = "model.layers.1.mlp.experts.3.up_proj.weight"
        assert opened.stored_names(name) == ("model.layers.1.mlp.experts.gate_up_proj",)
        np.testing.assert_array_equal(opened.read(name), weights[name])
        np.testing.assert_array_equal(np.asarray(opened.rows(name)[5:9]), weights[name][5:9])
    finally:
        opened.close()
