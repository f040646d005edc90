"""Qwen3.5 against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.reference.qwen35 import forward
from tests.support.agreement import largest_error
from tests.support.random_relatives import random_qwen35, random_qwen35_moe, with_eyes

CASES = {
    "Qwen3.5-4B: value heads share key heads": random_qwen35(),
    "Qwen3.5-0.8B: as many": random_qwen35(linear_num_key_heads=4),
    "three value heads to a key head, a head of its own": random_qwen35(
        linear_num_value_heads=6, tie_word_embeddings=False
    ),
    "Qwen3.5-35B-A3B": random_qwen35_moe(),
    "its experts each by itself": random_qwen35_moe(packed=False),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    error = largest_error(engine, tmp_path, *CASES[case], forward)
    print(f"{case}: {error:.1e}")
    assert error < 1e-4


PUBLISHED = {
    "Qwen3_5ForConditionalGeneration": random_qwen35(tie_word_embeddings=True),
    "Qwen3_5ForConditionalGeneration, its own head": random_qwen35(tie_word_embeddings=False),
    "Qwen3_5MoeForConditionalGeneration": random_qwen35_moe(),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_the_part_for_text_of_what_is_published(case: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = PUBLISHED[case]
    whole, moved = with_eyes((config, weights), case.partition(",")[0], "model.language_model.")
    moved["mtp.layers.0.input_layernorm.weight"] = moved["model.language_model.norm.weight"]
    plain = lambda said, tensors, ids: forward(config, weights, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, whole, moved, plain) < 1e-4
    said = Config(whole)
    assert "only its part for text" in str(family_of(said).blueprint(said, None).warnings[0])


def test_every_fourth_layer_has_attention_where_nothing_is_listed() -> None:
    config = Config(random_qwen35()[0]).changed(layer_types=None)
    blueprint = family_of(config).blueprint(config, None)
    assert blueprint.parameters["attention.recurrent_layers"] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"linear_value_head_dim": 32}, UnsupportedModel),
        ({"linear_num_value_heads": 3}, UnsupportedModel),
        ({"layer_types": ["full_attention"]}, BadFile),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(change: dict[str, Any], kind: type[Exception]) -> None:
    config = Config(random_qwen35()[0]).changed(**change)
    with pytest.raises(kind):
        family_of(config).blueprint(config, None)
