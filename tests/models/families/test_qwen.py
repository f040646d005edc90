"""Qwen from the first to Qwen3, dense and mixtures of experts, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from models.family import Blueprint
from tests.reference import llama, moe, qwen
from tests.support.agreement import Forward, converted, largest_error, random_ids
from tests.support.random_chinese import random_qwen
from tests.support.random_llama import Checkpoint, random_qwen2, random_qwen2_moe, random_qwen3, random_qwen3_moe

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
WINDOW = {"use_sliding_window": True, "sliding_window": 40, "max_window_layers": 1}

CASES: dict[str, tuple[Checkpoint, Forward]] = {
    "qwen2": (random_qwen2(), llama.forward),
    "qwen2, tied": (random_qwen2(tie_word_embeddings=True), llama.forward),
    "qwen2, yarn": (random_qwen2(rope_scaling=YARN), llama.forward),
    "qwen2, window off": (
        random_qwen2(**WINDOW | {"use_sliding_window": False, "sliding_window": None}),
        llama.forward,
    ),
    "qwen3": (random_qwen3(), llama.forward),
    "qwen3, tied": (random_qwen3(tie_word_embeddings=True), llama.forward),
    "qwen3, yarn": (random_qwen3(rope_scaling=YARN | {"attn_factor": 0.8782488562869419}), llama.forward),
    "qwen3_moe": (random_qwen3_moe(), moe.forward),
    "qwen3_moe, shares below 1": (random_qwen3_moe(norm_topk_prob=False), moe.forward),
    "qwen3_moe, a dense layer": (random_qwen3_moe(mlp_only_layers=[0], tie_word_embeddings=True), moe.forward),
    "qwen3_moe, shares below 1 in every second layer": (
        random_qwen3_moe(norm_topk_prob=False, decoder_sparse_step=2, rope_scaling=YARN),
        moe.forward,
    ),
    "qwen2_moe": (random_qwen2_moe(), moe.forward),
    "qwen2_moe, tied": (random_qwen2_moe(tie_word_embeddings=True), moe.forward),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    (config, weights), forward = CASES[case]
    assert largest_error(engine, tmp_path, config, weights, forward, shards=2) < 1e-4


def blueprint_of(config: dict[str, Any]) -> Blueprint:
    return family_of(Config(config)).blueprint(Config(config), None)


def test_a_sliding_window_ends_the_context_with_a_warning(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_qwen2(**WINDOW)
    result = converted(tmp_path, config, weights)
    assert any("sliding window" in warning and "40 tokens" in warning for warning in map(str, result.warnings))
    assert blueprint_of(config).parameters["context_length"] == 40
    assert largest_error(engine, tmp_path, config, weights, llama.forward, count=40) < 1e-4


def test_a_window_that_no_layer_has_changes_nothing() -> None:
    config, _ = random_qwen2(**WINDOW | {"max_window_layers": 2})
    assert blueprint_of(config).parameters["context_length"] == 512
    assert not blueprint_of(config).warnings


def test_yarn_lengthens_the_context_of_qwen2_5() -> None:
    config, _ = random_qwen2(
        max_position_embeddings=32768, rope_scaling=YARN | {"original_max_position_embeddings": 32768}
    )
    assert blueprint_of(config).parameters["context_length"] == 131072


def test_attention_by_chunks_ends_the_context_of_qwen2_5_1m() -> None:
    chunks = {"chunk_size": 262144, "local_size": 8192, "original_max_position_embeddings": 262144}
    config, _ = random_qwen2(max_position_embeddings=1010000, dual_chunk_attention_config=chunks)
    blueprint = blueprint_of(config)
    assert blueprint.parameters["context_length"] == 262144
    assert "chunks" in str(blueprint.warnings[0])


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (random_qwen2(rope_scaling={"rope_type": "llama3", "factor": 8.0})[0], "llama3"),
        (random_qwen2(head_dim=32)[0], "wide as the model"),
        (random_qwen2_moe(norm_topk_prob=True)[0], "norm_topk_prob"),
        (random_qwen2_moe()[0] | {"mlp_only_layers": [0]}, "every layer"),
        (random_qwen2_moe()[0] | {"decoder_sparse_step": 2}, "every layer"),
    ],
)
def test_what_llama_cpp_does_not_compute_is_refused(config: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        blueprint_of(config)


@pytest.mark.parametrize("changes", [{}, {"use_dynamic_ntk": False, "use_logn_attn": False}, {"rotary_pct": 0.5}])
def test_the_first_qwen_agrees_with_the_reference(changes: dict[str, Any], engine: Engine, tmp_path: Path) -> None:
    config, weights = random_qwen(**changes)
    count = blueprint_of(config).parameters["context_length"]
    assert count == (512 if changes.get("use_dynamic_ntk") is False else 64)
    assert largest_error(engine, tmp_path, config, weights, qwen.forward, count=min(count, 150), shards=2) < 1e-4


def test_the_first_qwens_context_for_llama_cpp_ends_where_its_own_code_changes() -> None:
    config, weights = random_qwen()
    plain = config | {"use_dynamic_ntk": False, "use_logn_attn": False}
    assert "64 tokens" in str(blueprint_of(config).warnings[0])
    ids = random_ids(config, 65)
    apart = [np.abs(qwen.forward(config, weights, ids[:n]) - qwen.forward(plain, weights, ids[:n])) for n in (64, 65)]
    assert apart[0].max() == 0
    assert apart[1].max() > 1e-2


def test_the_words_of_the_first_repository() -> None:
    config, _ = random_qwen(seq_length=2048, max_position_embeddings=8192)
    words = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
    words |= {"intermediate_size": "ffn_hidden_size", "max_position_embeddings": "n_positions"}
    old = {words.get(key, key): value for key, value in config.items()}
    assert blueprint_of(old) == blueprint_of(config)
