"""InternLM 1 to 3 against NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from tests.reference import internlm2, llama
from tests.support.agreement import Forward, largest_error
from tests.support.random_chinese import random_internlm, random_internlm2, random_internlm3
from tests.support.random_llama import Checkpoint


def internlm_forward(config, weights, ids):  # type: ignore[no-untyped-def]
    return llama.forward({**config, "rope_theta": config["rotary"]["base"]}, weights, ids)


CASES: dict[str, tuple[Checkpoint, Forward]] = {
    "InternLM-7B": (random_internlm(), internlm_forward),
    "InternLM-20B": (random_internlm(bias=False), internlm_forward),
    "InternLM2": (random_internlm2(), internlm2.forward),
    "InternLM2, every query head with its own key": (random_internlm2(num_key_value_heads=8), internlm2.forward),
    "InternLM2, one key head": (random_internlm2(num_key_value_heads=1), internlm2.forward),
    "InternLM2, up to the trained length": (random_internlm2(max_position_embeddings=150), internlm2.forward),
    "InternLM3": (random_internlm3(), llama.forward),
    "InternLM3 with biases": (random_internlm3(qkv_bias=True, bias=True), llama.forward),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    (config, weights), forward = CASES[case]
    assert largest_error(engine, tmp_path, config, weights, forward, shards=2) < 1e-4


@pytest.mark.parametrize("said", [{}, {"rope_scaling": {"factor": 2.5, "type": "dynamic"}, "rope_theta": 5e7}])
def test_the_context_is_the_trained_length(said: dict) -> None:
    config = Config(random_internlm2(max_position_embeddings=262144, **said)[0])
    blueprint = family_of(config).blueprint(config, None)
    assert blueprint.parameters["context_length"] == 262144
    assert "rope.scaling.type" not in blueprint.parameters
    assert [
        str(warning).startswith("llama.cpp runs this model up to 262144 tokens") for warning in blueprint.warnings
    ] == [True]
    assert blueprint.parameters["rope.dynamic.rule"] == "transformers"


def test_biases_that_llama_cpp_does_not_read_are_refused() -> None:
    config = Config(random_internlm2(bias=True)[0])
    with pytest.raises(UnsupportedModel, match="biases"):
        family_of(config).blueprint(config, None)
