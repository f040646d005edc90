"""The publishers' rules in numbers, and their keys in a file; what they make of logits is tested with the graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.config import Config
from models.dynamic_rotary import (
    FIXED,
    INTERNLM,
    QWEN,
    RULE,
    RULES,
    TRANSFORMERS,
    DynamicRotary,
    dynamic_rotary,
    is_beyond_trained_context,
)
from models.families import family_of
from models.family import Blueprint
from tests.support.random_chinese import random_internlm, random_internlm2, random_qwen
from tests.support.random_llama import random_llama, random_mixtral, random_qwen2

QWEN_7B = DynamicRotary(QWEN, 8192, 10000.0, 128, log_n=True)
INTERNLM2_5 = DynamicRotary(TRANSFORMERS, 32768, 1e6, 128, 2.0)


@pytest.mark.parametrize(
    ("prompt", "alpha"), [(1, 1), (8192, 1), (8193, 3), (16384, 3), (16385, 7), (32768, 7), (32769, 15)]
)
def test_qwens_base_comes_in_steps_and_stays(prompt: int, alpha: int) -> None:
    wanted = 10000 * alpha ** (128 / 126)
    for index in (0, prompt - 1, prompt, 100_000):
        assert QWEN_7B.base_at(index, prompt) == pytest.approx(wanted, rel=1e-12)


def test_log_n_begins_behind_the_trained_length() -> None:
    assert QWEN_7B.query_scale(8190, 4) == pytest.approx([1, 1, math.log(8193, 8192), math.log(8194, 8192)], rel=1e-7)
    assert (INTERNLM2_5.query_scale(40000, 3) == 1).all()


def test_other_bases_grow_with_every_token() -> None:
    assert INTERNLM2_5.base_at(5, 32768) == 1e6
    assert INTERNLM2_5.base_at(5, 65536) == pytest.approx(1e6 * 3 ** (128 / 126), rel=1e-12)
    assert INTERNLM2_5.base_at(65536, 100) == pytest.approx(1e6 * (2 * 65537 / 32768 - 1) ** (128 / 126), rel=1e-12)
    assert DynamicRotary(FIXED, 8, 10000.0, 16).base_at(100, 100) == 10000


def test_divisors_are_powers_of_the_base() -> None:
    found = DynamicRotary(QWEN, 8, 10000.0, 8).divisors(160000.0)
    assert found == pytest.approx([1, 20, 400, 8000], rel=1e-6)
    assert np.isfinite(DynamicRotary(QWEN, 8, 1e300, 8).divisors(1e300)).all()


@pytest.mark.parametrize("rule", RULES)
def test_what_is_written_is_read(rule: str) -> None:
    positions = DynamicRotary(rule, 4096, 10000.0, 128, 2.5, log_n=rule == QWEN)
    assert dynamic_rotary(positions.parameters, 10000.0, 128) == positions
    assert dynamic_rotary({}, 10000.0, 128) is None
    assert is_beyond_trained_context(positions.parameters | {"context_length": 4096}, 4097)
    assert not is_beyond_trained_context(positions.parameters | {"context_length": 4096}, 4096)
    assert not is_beyond_trained_context({"context_length": 4096}, 8192)


@pytest.mark.parametrize("key", QWEN_7B.parameters)
@pytest.mark.parametrize("value", [None, "x", -1, 0, float("nan"), 1e300, [], {}, 2**40])
def test_nonsense_in_a_file_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"rope\.dynamic\.rule"):
        dynamic_rotary(QWEN_7B.parameters | {key: value}, 10000.0, 128)
    is_beyond_trained_context(QWEN_7B.parameters | {"context_length": value}, 1)


def blueprint_of(config: dict[str, Any]) -> Blueprint:
    return family_of(Config(config)).blueprint(Config(config), None)


SCALING: dict[str, Any] = {"max_position_embeddings": 4096, "rope_scaling": {"type": "dynamic", "factor": 8.0}}


@pytest.mark.parametrize(
    ("config", "rule", "trained", "factor"),
    [
        (random_qwen()[0], QWEN, 64, 1.0),
        (random_qwen(use_dynamic_ntk=False)[0], FIXED, 64, 1.0),
        (random_internlm()[0], INTERNLM, 512, 1.0),
        (random_internlm2()[0], TRANSFORMERS, 512, 2.0),
        (random_llama(**SCALING)[0], TRANSFORMERS, 4096, 8.0),
        (random_llama(**SCALING, model_max_length=32768)[0], TRANSFORMERS, 4096, 8.0),
        (random_qwen2(**SCALING)[0], TRANSFORMERS, 4096, 8.0),
    ],
)
def test_families_say_how_they_go_on(config: dict[str, Any], rule: str, trained: int, factor: float) -> None:
    blueprint = blueprint_of(config)
    said = {key.removeprefix("rope.dynamic."): value for key, value in blueprint.parameters.items()}
    assert (said["rule"], said["trained_length"], said["factor"]) == (rule, trained, factor)
    assert said["context_length"] == trained
    assert "Zhiyin computes it by itself" in str(blueprint.warnings[0])


@pytest.mark.parametrize(
    "config",
    [
        random_mixtral(**SCALING)[0],
        random_qwen2(**SCALING, use_sliding_window=True, sliding_window=8192, max_window_layers=1)[0],
        random_llama(**SCALING, architectures=["MistralForCausalLM"], sliding_window=4096)[0],
    ],
)
def test_what_our_graph_does_not_compute_ends_there(config: dict[str, Any]) -> None:
    blueprint = blueprint_of(config)
    assert RULE not in blueprint.parameters
    assert blueprint.parameters["context_length"] == 4096
    assert str(blueprint.warnings[0]).startswith(
        "The context ends at 4096 tokens, the length this model was trained with"
    )
