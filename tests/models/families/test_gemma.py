"""Gemma 2 and Gemma 3 against NumPy; llama.cpp's GELU is a table of 16-bit floats, so the bound is wider than elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from tests.reference.gemma import forward
from tests.support.agreement import largest_error
from tests.support.random_relatives import random_gemma2, random_gemma3, with_eyes

BOUND = 5e-3
CASES = {
    "Gemma-2-2b": random_gemma2(),
    "Gemma-3-1b": random_gemma3(),
    "Gemma 2 without windows": random_gemma2(sliding_window_pattern=1),
    "Gemma 3 without windows": random_gemma3(sliding_window_pattern=1),
    "Gemma 2 with another base": random_gemma2(rope_theta=40000.0),
    "Gemma 2 with another divisor": random_gemma2(query_pre_attn_scalar=144),
    "Gemma 3 with another divisor": random_gemma3(query_pre_attn_scalar=256),
    "Gemma-3-4b's positions": random_gemma3(rope_scaling={"factor": 8.0, "rope_type": "linear"}),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    error = largest_error(engine, tmp_path, *CASES[case], forward)
    print(f"{case}: {error:.1e}")
    assert error < BOUND


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_the_part_for_text_of_a_model_that_sees(prefix: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_gemma3()
    whole = with_eyes((config, weights), "Gemma3ForConditionalGeneration", prefix)
    plain = lambda said, tensors, ids: forward(config, weights, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, *whole, plain) < BOUND
    said = Config(whole[0])
    assert "only its part for text" in str(family_of(said).blueprint(said, None).warnings[0])


@pytest.mark.parametrize(
    ("checkpoint", "named"),
    [
        (random_gemma3(hidden_activation="relu"), "relu"),
        (random_gemma3(use_bidirectional_attention=True), "measures texts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_llama_cpp_computes_otherwise_is_refused(checkpoint: Any, named: str) -> None:
    config = Config(checkpoint[0])
    with pytest.raises(UnsupportedModel, match=named):
        family_of(config).blueprint(config, None)
