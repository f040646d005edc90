"""MiniCPM and MiniCPM4 against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from tests.reference.minicpm import forward
from tests.support.agreement import largest_error
from tests.support.random_chinese import random_minicpm

LONGROPE = {
    "rope_type": "longrope",
    "long_factor": [1.0 + 0.7 * i for i in range(8)],
    "short_factor": [1.0 + 0.1 * i for i in range(8)],
    "original_max_position_embeddings": 64,
}
CASES: dict[str, dict[str, Any]] = {
    "MiniCPM-2B": {},
    "MiniCPM-1B, grouped queries and a head": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "MiniCPM4": {
        "rope_scaling": LONGROPE | {"original_max_position_embeddings": 256},
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
    },
    "MiniCPM4, lengthened": {"rope_scaling": LONGROPE},
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_minicpm(**CASES[case])
    assert largest_error(engine, tmp_path, config, weights, forward) < 1e-4


def test_embeddings_are_tied_unless_the_configuration_says_otherwise(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_minicpm()
    silent = {key: value for key, value in config.items() if key != "tie_word_embeddings"}
    tied = lambda said, tensors, ids: forward({**said, "tie_word_embeddings": True}, tensors, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, silent, weights, tied) < 1e-4


def test_sparse_attention_is_mentioned() -> None:
    config = Config(random_minicpm(sparse_config={"kernel_size": 32, "dense_len": 8192})[0])
    assert "8192" in str(family_of(config).blueprint(config, None).warnings[0])


def test_mixtures_are_refused() -> None:
    config = Config(random_minicpm(num_experts=8)[0])
    with pytest.raises(UnsupportedModel, match="mixture"):
        family_of(config).blueprint(config, None)
