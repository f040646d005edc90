"""Layers for multi-token prediction are left out, and that is said in words instead of names of tensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, plan
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import Checkpoint, random_llama
from tests.support.random_relatives import random_qwen35
from tests.support.random_shared_experts import random_glm4_moe


def said(checkpoint: Checkpoint, folder: Path) -> list[str]:
    source = write_checkpoint(folder / "checkpoint", *checkpoint)
    return [str(warning) for warning in plan(ConvertRequest(source, None, "F32", tokenizer="none")).warnings]


def with_further(checkpoint: Checkpoint, name: str) -> Checkpoint:
    config, weights = checkpoint
    return config, weights | {name: next(iter(weights.values()))}


@pytest.mark.parametrize(
    "checkpoint",
    [random_glm4_moe(), with_further(random_qwen35(), "mtp.layers.0.input_layernorm.weight")],
    ids=["behind the last layer", "named so"],
)
def test_it_is_said_once(checkpoint: Checkpoint, tmp_path: Path) -> None:
    about = [text for text in said(checkpoint, tmp_path) if "guesses further tokens" in text]
    assert len(about) == 1
    assert not any("no place for it" in text for text in said(checkpoint, tmp_path))


def test_other_tensors_are_named(tmp_path: Path) -> None:
    odd = with_further(random_llama(), "model.layers.1.odd.weight")
    assert [text for text in said(odd, tmp_path) if "no place for it: model.layers.1.odd.weight (tensors: 1)" in text]
    assert not any("guesses" in text for text in said(odd, tmp_path))


def test_layers_that_config_json_does_not_count_are_no_guessing_ones(tmp_path: Path) -> None:
    config, weights = random_llama()
    (about,) = said((config | {"num_hidden_layers": 1}, weights), tmp_path)
    assert about.startswith("config.json says 1 layers and the weights have 2: those behind them were left out.")
