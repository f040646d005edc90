"""The configurations that the publishers wrote: every family reads them, and counts as many parameters as they do."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

from models.config import Config
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
