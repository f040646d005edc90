"""MiniCPM3 and DeepSeek-V2-Lite, V3 and GLM-4.7-Flash against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from tests.reference.latent import deepseek_forward, minicpm3_forward
from tests.support.agreement import largest_error
from tests.support.random_latent import random_deepseek, random_deepseek3, random_minicpm3

LONGROPE = {
    "rope_type": "longrope",
    "long_factor": [1.0 + 0.7 * i for i in range(4)],
    "short_factor": [1.0 + 0.1 * i for i in range(4)],
    "original_max_position_embeddings": 64,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {
    "type": "yarn",
    "factor": 8,
    "original_max_position_embeddings": 64,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
}
MINICPM3 = {
    "MiniCPM3-4B": random_minicpm3(rope_scaling=LONGROPE | {"original_max_position_embeddings": 512}),
    "lengthened, with a head": random_minicpm3(rope_scaling=LONGROPE, tie_word_embeddings=False),
}
DEEPSEEK = {
    "V2-Lite": random_deepseek(rope_scaling=YARN),
    "V2-Lite, as many layers": random_deepseek(num_hidden_layers=27, first_k_dense_replace=20),
    "V3": random_deepseek3(rope_scaling=YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}),
    "V3, all groups": random_deepseek3(topk_group=4),
    "GLM-4.7-Flash, whose width is no multiple of its heads": random_deepseek3(
        architectures=["Glm4MoeLiteForCausalLM"],
        n_group=1,
        topk_group=1,
        routed_scaling_factor=1.8,
        num_attention_heads=5,
        num_key_value_heads=5,
    ),
}


@pytest.mark.parametrize("case", MINICPM3)
def test_minicpm3_agrees_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *MINICPM3[case], minicpm3_forward) < 1e-4


def test_values_are_as_wide_as_the_model_divided_by_heads(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_minicpm3()
    silent = {key: value for key, value in config.items() if key != "v_head_dim"}
    forward = lambda said, tensors, ids: minicpm3_forward(config, tensors, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, silent, weights, forward) < 1e-4


@pytest.mark.parametrize("case", DEEPSEEK)
def test_deepseek_agrees_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *DEEPSEEK[case], deepseek_forward, shards=2) < 1e-4


@pytest.mark.parametrize(
    ("checkpoint", "named"),
    [
        (random_minicpm3(scale_emb=10), "scale_emb of 12 only"),
        (random_minicpm3(dim_model_base=None), "dim_model_base of 256 only"),
        (random_minicpm3(rope_scaling=LLAMA3), "llama3"),
        (random_deepseek(rope_scaling={"rope_type": "linear", "factor": 2.0}), "linear"),
        (random_deepseek(norm_topk_prob=True), "norm_topk_prob"),
        (random_deepseek(n_group=2, topk_group=1, topk_method="group_limited_greedy"), "choose DeepSeek-V2-Lite"),
        (random_deepseek(q_lora_rank=48, num_hidden_layers=27), "27 layers"),
        (random_deepseek(rope_scaling=YARN | {"mscale": 1.0}), "mscale"),
        (random_deepseek(scoring_func="sqrtsoftplus"), "sqrtsoftplus"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_llama_cpp_computes_otherwise_is_refused(checkpoint: Any, named: str) -> None:
    config = Config(checkpoint[0])
    with pytest.raises(UnsupportedModel, match=named):
        family_of(config).blueprint(config, None)
