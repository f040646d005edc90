"""LLaMA: converted files compute what the papers' formulas compute, under every scaling of positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.reference.llama import forward
from tests.support.agreement import converted, largest_error
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_llama import random_llama

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
# Chinese-Alpaca-2-64K publishes these keys, DeepSeek-R1-0528-Qwen3-8B `attn_factor`
YARN = {"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 64, "finetuned": True}
LONGROPE = {
    "rope_type": "longrope",
    "long_factor": [1.0 + 0.7 * i for i in range(8)],
    "short_factor": [1.0 + 0.1 * i for i in range(8)],
    "original_max_position_embeddings": 64,
}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "multi-head": {"num_key_value_heads": 4},
    "tied embeddings": {"tie_word_embeddings": True},
    "biases": {"biases": ("q", "k", "v", "o"), "attention_bias": True},
    "biases everywhere": {"biases": ("q", "k", "v", "o", "gate", "up", "down"), "mlp_bias": True},
    "wide heads": {"head_dim": 32},
    "linear scaling": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "linear scaling by 1": {"rope_scaling": {"type": "linear", "factor": 1.0}},
    "llama 3 scaling": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "yarn": {"rope_scaling": YARN},
    "yarn, length given": {"rope_scaling": YARN | {"attention_factor": 0.9}},
    "yarn, correction given": {"rope_scaling": YARN | {"attn_factor": 0.7, "beta_fast": 32, "beta_slow": 1}},
    "rope_parameters": {"rope_parameters": {"rope_type": "default", "rope_theta": 5e6}},
    "dynamic scaling, up to the trained length": {
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
        "max_position_embeddings": 150,
    },
    "longrope": {"rope_scaling": LONGROPE},
}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_logits_agree_with_the_reference(variant: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(**VARIANTS[variant])
    assert largest_error(engine, tmp_path, config, weights, forward) < 1e-4


def test_longrope_takes_its_short_factors_in_a_short_context(engine: Engine, tmp_path: Path) -> None:
    scaling = LONGROPE | {"original_max_position_embeddings": 256}
    config, weights = random_llama(rope_scaling=scaling)
    assert largest_error(engine, tmp_path, config, weights, forward) < 1e-4


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_weights_are_read_exactly(dtype: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(3)
    folder = write_checkpoint(tmp_path / "checkpoint", config, weights, shards=3, dtype=dtype)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(folder, out, "F32", tokenizer="none"))
    half = np.float16 if dtype == "F16" else ml_dtypes.bfloat16
    rounded = {name: weight.astype(half).astype(np.float32) for name, weight in weights.items()}
    ids = list(range(100))
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - forward(config, rounded, ids)).max() < 1e-4


# What the repositories' config.json say of positions, and how long a text the converted model takes.
# Atom-7B-Chat: as LlamaFamily/Llama-Chinese, inference-speed/GPU/TensorRT-LLM_example, builds it (32K by its model card).
PUBLISHED = {
    "Llama2-Chinese-7b-Chat": ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
    "Atom-7B-Chat": (
        {
            "max_position_embeddings": 4096,
            "rope_theta": 500000.0,
            "rope_scaling": {"type": "dynamic", "factor": 8.0},
        },
        4096,
    ),
    "Atom-7B": ({"max_position_embeddings": 4096, "rope_theta": 10000.0, "pretraining_tp": 1}, 4096),
    "Chinese-LLaMA-2-16K": (
        {"max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4.0}},
        16384,
    ),
    "Chinese-Alpaca-2-64K": (
        {"max_position_embeddings": 65536, "rope_scaling": {**YARN, "original_max_position_embeddings": 4096}},
        65536,
    ),
    "Llama-3.1-8B": (
        {"max_position_embeddings": 131072, "rope_scaling": {**LLAMA3, "original_max_position_embeddings": 8192}},
        131072,
    ),
    "Yi-6B-200K": ({"max_position_embeddings": 200000, "rope_theta": 5e6, "rope_scaling": None}, 200000),
    "vicuna-7b-v1.5-16k": (
        {
            "max_position_embeddings": 4096,
            "max_sequence_length": 16384,
            "rope_scaling": {"type": "linear", "factor": 4.0},
        },
        16384,
    ),
    "a LLaMA of 2023 without a word on length": ({"max_position_embeddings": None, "max_sequence_length": 2048}, 2048),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_context_length_of_published_configurations(name: str) -> None:
    said, length = PUBLISHED[name]
    config, _ = random_llama(**said)
    blueprint = family_of(Config(config)).blueprint(Config(config), None)
    assert blueprint.parameters["context_length"] == length


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"rope_scaling": {"type": "dynamic", "alpha": 1000.0}}, UnsupportedModel, "dynamic"),
        ({"rope_scaling": {"type": "new"}}, UnsupportedModel, "'new'"),
        ({"rope_scaling": YARN | {"beta_fast": 4}}, UnsupportedModel, "beta_fast"),
        ({"rope_scaling": {**LONGROPE, "long_factor": [1.0]}}, BadFile, "long_factor"),
        ({"hidden_act": "gelu"}, UnsupportedModel, "gelu"),
        ({"num_attention_heads": 5}, BadFile, "5 heads"),
        ({"num_hidden_layers": 10**9}, BadFile, "layers"),
    ],
)
def test_what_llama_cpp_does_not_compute_is_refused(
    changes: dict[str, Any], error: type[Exception], named: str
) -> None:
    config = Config({**random_llama()[0], **changes})
    with pytest.raises(error, match=named):
        family_of(config).blueprint(config, None)


def test_tensors_without_a_place_are_mentioned(tmp_path: Path) -> None:
    config, weights = random_llama(tie_word_embeddings=True)
    spare = {
        "model.layers.0.self_attn.q_norm.weight": np.ones(16, np.float32),
        "lm_head.weight": np.zeros((128, 64), np.float32),
    }
    spare |= {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}
    warnings = [w for w in map(str, converted(tmp_path, config, weights | spare).warnings) if w.startswith("Left out")]
    assert len(warnings) == 1
    assert "layers.0.self_attn.q_norm.weight (tensors: 1)" in warnings[0]


def test_yi_as_first_published(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(architectures=["YiForCausalLM"], model_type="Yi", rope_theta=5e6)
    names = {"input_layernorm": "ln1", "post_attention_layernorm": "ln2"}
    renamed = {}
    for name, tensor in weights.items():
        part = name.split(".")[-2]
        renamed[name.replace(part, names[part]) if part in names else name] = tensor
    public = lambda said, _, ids: forward(said, weights, ids)  # noqa: E731
    assert largest_error(engine, tmp_path, config, renamed, public) < 1e-4
