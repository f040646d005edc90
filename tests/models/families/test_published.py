"""The configurations that the publishers wrote: every family reads them, and counts as many parameters as they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest

from models.config import Config
from models.errors import ZhiyinError
from models.families import family_of

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text("utf-8"))
"""Repository -> parameters as its model card counts them, context length, config.json (what does not matter here left out)."""
_NO_PARAMETERS = (".attn_sinks.weight", "rope_freqs.weight")
"""Tensors that llama.cpp wants and publishers do not have."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_context(name: str) -> None:
    parameters, context, said = PUBLISHED[name]
    config = Config(said)
    blueprint = family_of(config).blueprint(config, None)
    counted = sum(prod(t.shape) for t in blueprint.tensors if not t.name.endswith(_NO_PARAMETERS))
    assert counted == parameters
    assert blueprint.parameters["context_length"] == context


STRANGE = (None, -1, 0, 1, 3, 2**31 - 1, 1e308, -0.5, float("nan"), "x", "", True, [], [1], {}, {"type": "yarn"})


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_damaged_configuration_is_refused_in_one_sentence(name: str) -> None:
    _, _, said = PUBLISHED[name]
    small = said | {"num_hidden_layers": 1, **({"num_experts": 4} if "num_experts" in said else {})}
    for key, value in [*((key, value) for key in said for value in STRANGE), *_damaged_scaling()]:
        config = Config({**small, key: value})
        try:
            blueprint = family_of(config).blueprint(config, None)
        except ZhiyinError as error:
            assert "config.json" in str(error)
        else:
            assert blueprint.tensors


def _damaged_scaling() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield sections on rotary scaling with one strange value each."""
    usual: dict[str, Any] = {
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "attention_factor": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "long_factor": [1.0] * 64,
        "short_factor": [1.0] * 64,
    }
    for kind in ("linear", "dynamic", "yarn", "llama3", "longrope"):
        for key in ("rope_type", *usual):
            for value in STRANGE:
                yield "rope_scaling", {"rope_type": kind, **usual, key: value}
