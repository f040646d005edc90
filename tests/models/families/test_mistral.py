"""Mistral and Mixtral against NumPy, within the sliding window and beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.gguf_header import read_gguf_header
from desktop_app.engine.client import Engine
from models.config import Config
from models.families import family_of
from tests.reference import llama, moe
from tests.support.agreement import largest_error
from tests.support.random_llama import random_llama, random_mixtral


@pytest.mark.parametrize(
    ("window", "architecture"), [(None, "llama"), (512, "llama"), (37, "granite_swa"), (128, "granite_swa")]
)
def test_logits_agree_with_the_reference(window: int, architecture: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=window)
    assert largest_error(engine, tmp_path, config, weights, llama.forward, count=300) < 1e-4
    assert read_gguf_header(tmp_path / "model.gguf").architecture == architecture


def test_the_context_reaches_beyond_the_window() -> None:
    config = Config(random_llama(architectures=["MistralForCausalLM"], sliding_window=64)[0])
    blueprint = family_of(config).blueprint(config, None)
    assert blueprint.parameters["context_length"] == 512
    assert not blueprint.warnings


def test_mixtral_agrees_with_the_reference(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_mixtral()
    assert largest_error(engine, tmp_path, config, weights, moe.mixtral_forward, shards=2) < 1e-4
