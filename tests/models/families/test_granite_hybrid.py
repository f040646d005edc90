"""Granite 4 against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.reference.granite_hybrid import forward
from tests.support.agreement import largest_error
from tests.support.random_relatives import random_granite4

ATTENTION = {"layer_types": ["attention"] * 4, "position_embedding_type": "rope", "num_local_experts": 0}
CASES = {
    "H-Tiny: with experts": random_granite4(),
    "H-Micro: dense": random_granite4(num_local_experts=0, num_experts_per_tok=0),
    "two groups, positions, its own head": random_granite4(
        mamba_n_groups=2, position_embedding_type="rope", tie_word_embeddings=False
    ),
    "Micro: attention alone": random_granite4(**ATTENTION),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *CASES[case], forward, shards=2) < 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {"mamba_expand": 3},
        {"mamba_proj_bias": True},
        {"time_step_limit": [0.0, 1.0]},
        {"time_step_limit": [0.01, {"__float__": "Infinity"}]},
        {"mamba_n_heads": 7},
        {"layer_types": ["mamba"]},
        {"layer_types": ["mamba", "window", "attention", "mamba"]},
        {"position_embedding_type": "alibi"},
        {**ATTENTION, "position_embedding_type": "nope"},
        {**ATTENTION, "num_local_experts": 8},
    ],
    ids=str,
)
def test_what_llama_cpp_computes_otherwise_is_refused(changes: dict[str, Any]) -> None:
    config = Config(random_granite4()[0] | changes)
    with pytest.raises((UnsupportedModel, BadFile)):
        family_of(config).blueprint(config, None)
