"""Hunyuan, ERNIE, Granite, SmolLM3 and Phi against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from models.family import Blueprint
from tests.reference.relatives import ernie_forward, granite_forward, hunyuan_forward, phi3_forward, smollm3_forward
from tests.support.agreement import Forward, largest_error
from tests.support.random_llama import Checkpoint
from tests.support.random_relatives import random_ernie, random_granite, random_hunyuan, random_phi3, random_smollm3

LONGROPE = {
    "rope_type": "longrope",
    "long_factor": [1.0 + 0.7 * i for i in range(6)],
    "short_factor": [1.0 + 0.1 * i for i in range(6)],
}
PARTLY = {"partial_rotary_factor": 0.75, "rope_scaling": LONGROPE, "tie_word_embeddings": True}
CASES: dict[str, tuple[Checkpoint, Forward]] = {
    "Hunyuan-4B": (random_hunyuan(), hunyuan_forward),
    "its own head": (random_hunyuan(tie_word_embeddings=False, head_dim=16), hunyuan_forward),
    "ERNIE-4.5-0.3B": (random_ernie(), ernie_forward),
    "Granite-3.3-2B": (random_granite(), granite_forward),
    "SmolLM3-3B": (random_smollm3(), smollm3_forward),
    "Phi-3.5-mini": (random_phi3(num_key_value_heads=4), phi3_forward),
    "Phi-4-mini": (random_phi3(**PARTLY), phi3_forward),
    "Phi-4-mini, lengthened": (random_phi3(**PARTLY, original_max_position_embeddings=64), phi3_forward),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    (config, weights), forward = CASES[case]
    if "rope_scaling" in config and "Phi" in case:  # the reference reads it where other families write it
        trained = config["original_max_position_embeddings"]
        scaling = {**config["rope_scaling"], "original_max_position_embeddings": trained}
        plain = forward
        forward = lambda said, tensors, ids: plain({**said, "rope_scaling": scaling}, tensors, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, config, weights, forward) < 1e-4


def blueprint_of(checkpoint: Checkpoint) -> Blueprint:
    config = Config(checkpoint[0])
    return family_of(config).blueprint(config, None)


def test_a_window_ends_the_context() -> None:
    blueprint = blueprint_of(random_phi3(sliding_window=300))
    assert blueprint.parameters["context_length"] == 300
    assert "sliding window" in str(blueprint.warnings[0])


def test_alpha_means_the_published_length() -> None:
    assert blueprint_of(random_hunyuan(max_position_embeddings=32768)).parameters["context_length"] == 262144


@pytest.mark.parametrize(
    ("checkpoint", "named"),
    [
        (random_smollm3(no_rope_layers=[1, 0, 1, 0, 1]), "every fourth layer"),
        (random_hunyuan(use_qk_norm=False), "norms of queries"),
        (random_hunyuan(rope_scaling={"rope_type": "llama3", "factor": 8.0}), "llama3"),
        (random_ernie(use_bias=True), "biases"),
        (random_granite(head_dim=32), "as wide as the model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_llama_cpp_computes_otherwise_is_refused(checkpoint: Any, named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        blueprint_of(checkpoint)
