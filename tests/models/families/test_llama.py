"""LLaMA: converted files compute what the paper's formulas compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from tests.reference.llama import forward
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_llama import random_llama

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "multi-head": {"num_key_value_heads": 4},
    "tied embeddings": {"tie_word_embeddings": True},
    "biases": {"biases": True},
    "wide heads": {"head_dim": 32},
    "linear scaling": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama 3 scaling": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_logits_agree_with_the_reference(variant: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(**VARIANTS[variant])
    folder = write_checkpoint(tmp_path / "checkpoint", config, weights)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(folder, out, "F32", tokenizer="none"))
    ids = np.random.default_rng(1).integers(0, config["vocab_size"], 150).tolist()
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - forward(config, weights, ids)).max() < 1e-4


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_weights_are_read_exactly(dtype: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(3)
    folder = write_checkpoint(tmp_path / "checkpoint", config, weights, shards=3, dtype=dtype)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(folder, out, "F32", tokenizer="none"))
    import ml_dtypes

    rounded = {
        name: weight.astype(np.float16 if dtype == "F16" else ml_dtypes.bfloat16).astype(np.float32)
        for name, weight in weights.items()
    }
    ids = list(range(100))
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - forward(config, rounded, ids)).max() < 1e-4
