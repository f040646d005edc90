"""GLM-4.5 against NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.reference.shared_experts import glm4_moe_forward
from tests.support.agreement import converted, largest_error
from tests.support.random_shared_experts import random_glm4_moe

CASES = {
    "GLM-4.5": random_glm4_moe(),
    "GLM-4.5-Air": random_glm4_moe(use_qk_norm=False, routed_scaling_factor=1.0, n_shared_experts=1),
    "in groups": random_glm4_moe(n_group=4, topk_group=2, first_k_dense_replace=2),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *CASES[case], glm4_moe_forward, shards=2) < 1e-4


def test_the_layer_that_guesses_further_is_left_out_and_named(tmp_path: Path) -> None:
    (warning,) = converted(tmp_path, *random_glm4_moe()).warnings
    assert warning.template.startswith("The layers with which this model guesses further tokens were left out")


def test_a_silent_configuration_has_one_layer_without_experts() -> None:
    config = random_glm4_moe()[0]
    del config["first_k_dense_replace"], config["partial_rotary_factor"]
    parameters = family_of(Config(config)).blueprint(Config(config), None).parameters
    assert (parameters["leading_dense_block_count"], parameters["rope.dimension_count"]) == (1, 16)


@pytest.mark.parametrize("changes", [{"hidden_act": "gelu"}, {"n_group": 3, "topk_group": 1}])
def test_what_cannot_be_computed_is_refused(changes: dict[str, object]) -> None:
    config = Config(random_glm4_moe()[0] | changes)
    with pytest.raises((UnsupportedModel, BadFile)):
        family_of(config).blueprint(config, None)
