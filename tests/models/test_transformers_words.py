"""A configuration is read as transformers reads it: names of keys, silent keys, the rotary section, the class."""

from __future__ import annotations

from typing import Any

import pytest

from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of, understood

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
DEFAULT = {"rope_type": "default", "rope_theta": 5e5}


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"rope_parameters": DEFAULT, "rope_scaling": YARN}, YARN),
        ({"rope_parameters": DEFAULT, "rope_scaling": {}}, DEFAULT),
        ({"rope_parameters": DEFAULT, "rope_scaling": None}, DEFAULT),
        ({"rope_parameters": None, "rope_scaling": YARN}, YARN),
        ({"rope_parameters": {}, "rope_scaling": YARN}, YARN),
        (
            {"rope_parameters": YARN, "original_max_position_embeddings": 32},
            YARN | {"original_max_position_embeddings": 32},
        ),
        ({"rope_parameters": DEFAULT, "original_max_position_embeddings": 32}, DEFAULT),
    ],
)
def test_one_rotary_section_counts(said: dict[str, Any], counts: dict[str, Any]) -> None:
    found = understood(Config({"model_type": "llama"} | said))
    assert found.data["rope_parameters"] == counts
    assert "rope_scaling" not in found


def test_an_empty_rotary_section_is_not_silent() -> None:
    assert understood(Config({"model_type": "gpt_oss", "rope_parameters": {}})).data["rope_parameters"] == {}
    assert "rope_parameters" not in understood(Config({"model_type": "gpt_oss", "rope_parameters": None}))


def test_a_null_is_false_where_silence_is_true() -> None:
    config = understood(Config({"model_type": "deepseek_v3", "norm_topk_prob": None}))
    assert config.data["norm_topk_prob"] is False
    assert config.data["rope_interleave"] is True


def test_numbers_that_json_lacks_are_read_as_transformers_writes_them() -> None:
    limits = [0.0, {"__float__": "Infinity"}]
    config = understood(Config({"model_type": "granitemoehybrid", "time_step_limit": limits, "x": {"__float__": "?"}}))
    assert config.data["time_step_limit"] == [0.0, float("inf")]
    assert config.data["x"] == {"__float__": "?"}


def test_an_old_rotary_section_joins_full_attention_where_layers_have_their_own() -> None:
    layers = {"full_attention": {"rope_type": "default", "rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    linear = {"rope_type": "linear", "factor": 8.0}
    found = understood(Config({"model_type": "gemma3_text", "rope_parameters": layers, "rope_scaling": linear}))
    assert found.data["rope_parameters"]["full_attention"] == {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
    assert found.data["rope_parameters"]["sliding_attention"] == {"rope_theta": 1e4}


@pytest.mark.parametrize(
    ("model_type", "theirs", "name"),
    [
        ("mixtral", "num_experts", "num_local_experts"),
        ("gpt_oss", "num_experts", "num_local_experts"),
        ("deepseek_v2", "num_experts", "n_routed_experts"),
        ("deepseek_v3", "num_local_experts", "n_routed_experts"),
        ("glm4_moe", "num_local_experts", "n_routed_experts"),
        ("granitemoehybrid", "layers_block_type", "layer_types"),
        ("internlm3", "qkv_bias", "attention_bias"),
        ("qwen3_moe", "num_local_experts", "num_experts"),
    ],
)
def test_keys_go_by_each_of_their_names(model_type: str, theirs: str, name: str) -> None:
    for key in (theirs, name):
        found = understood(Config({"model_type": model_type, key: 7}))
        assert found.data[theirs] == found.data[name] == 7


def test_a_null_is_not_silent() -> None:
    assert understood(Config({"model_type": "mistral"})).int("sliding_window", default=0) == 4096
    assert understood(Config({"model_type": "mistral", "sliding_window": None})).int("sliding_window", default=0) == 0


def test_the_part_for_text_is_read_by_its_own_type() -> None:
    found = understood(
        Config({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 64}})
    )
    assert found.section("text_config").int("head_dim") == 256
    assert found.section("text_config").int("hidden_size") == 64


@pytest.mark.parametrize(
    ("said", "family"),
    [
        ({"model_type": "llama"}, "llama"),
        ({"model_type": "llama", "architectures": None}, "llama"),
        ({"model_type": "llama", "architectures": []}, "llama"),
        ({"model_type": "llama", "architectures": "LlamaForCausalLM"}, "llama"),
        ({"model_type": "llama", "architectures": ["LlamaModel"]}, "llama"),
        ({"model_type": "qwen2", "architectures": ["PeftModelForCausalLM"]}, "qwen2"),
        ({"model_type": "qwen3", "architectures": ["OptimizedModule"]}, "qwen3"),
        ({"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"]}, "gemma"),
        ({"model_type": "chatglm", "position_encoding_2d": True}, "chatglm1"),
        ({"model_type": "chatglm"}, "chatglm"),
        (
            {"model_type": "baichuan", "auto_map": {"AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM"}},
            "baichuan",
        ),
        (
            {"model_type": "new", "auto_map": {"AutoModelForCausalLM": "org/repo--modeling_qwen.QWenLMHeadModel"}},
            "qwen",
        ),
        ({"model_type": "internlm2"}, "internlm2"),
        ({"model_type": "gpt_oss", "architectures": ["DataParallel"]}, "gpt_oss"),
    ],
)
def test_a_class_is_implied(said: dict[str, Any], family: str) -> None:
    assert family_of(understood(Config(said))).name == family


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, "judges texts"),
        ({"model_type": "qwen2", "architectures": ["Qwen2ForTokenClassification"]}, "judges texts"),
        ({"model_type": "llama", "architectures": ["LlavaLlamaForCausalLM"]}, "images or sound"),
        ({"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "modeling_my.MyForCausalLM"}}, "no architecture"),
        ({"model_type": "mamba"}, "no architecture"),
        ({}, "no architecture"),
    ],
)
def test_no_class_is_made_up(said: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        family_of(understood(Config(said)))


def test_a_nested_quantization_counts_where_there_are_no_tensors() -> None:
    nested = {"text_config": {"quantization_config": {"quant_method": "awq"}}}
    with pytest.raises(UnsupportedModel, match="quantized as AWQ"):
        family_of(Config({"architectures": ["Qwen2ForCausalLM"]} | nested))
