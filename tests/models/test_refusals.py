"""What cannot be converted is refused by its name and with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from models.config import Config
from models.errors import UnsupportedModel
from models.families import families, family_of

QWEN = {"architectures": ["Qwen2ForCausalLM"]}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "quantized as GPTQ; download the original repository",
        ),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantized as AWQ"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "as bitsandbytes"),
        ({"quantization_config": {"load_in_4bit": True}}, "as bitsandbytes"),  # Baichuan2-13B-Chat-4bits
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}}, "compressed-"),
        ({"quantization_config": {"quant_method": "newest"}}, "as newest"),
    ],
)
def test_quantized_weights(said: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        family_of(Config(QWEN | said))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"quantization_config": None},
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        {"quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized"}},
    ],
)
def test_weights_that_can_be_read(said: dict[str, Any]) -> None:
    assert family_of(Config(QWEN | said)).name == "qwen2"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (
            {"architectures": ["Qwen2VLForConditionalGeneration"]},
            "Qwen2VLForConditionalGeneration takes images or sound",
        ),
        ({"architectures": ["QWenLMHeadModel"], "visual": {"width": 1664}}, "QWenLMHeadModel takes images or sound"),
        ({"architectures": ["LlavaLlamaForCausalLM"]}, "images or sound"),
        ({"architectures": ["MiniCPMV"], "vision_config": {"image_size": 980}}, "images or sound"),
        ({"architectures": ["Qwen2ForSequenceClassification"]}, "judges texts"),
        ({"architectures": ["InternLM2ForRewardModel"]}, "judges texts"),
        ({"architectures": ["BaichuanM1ForCausalLM"]}, "BaichuanM1ForCausalLM, which Zhiyin cannot convert"),
        ({}, "no architecture"),
        ({"architectures": "BaichuanM1ForCausalLM"}, "BaichuanM1ForCausalLM, which Zhiyin cannot convert"),
    ],
)
def test_models_of_another_kind(said: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        family_of(Config(said))


def test_an_unknown_class_gets_the_list_of_families() -> None:
    """Titles hold commas ("Qwen1.5, Qwen2 and Qwen2.5"), so something else parts them."""
    with pytest.raises(UnsupportedModel) as caught:
        family_of(Config({"architectures": ["NewForCausalLM"]}))
    said, _, known = str(caught.value).partition("the known families are: ")
    assert "NewForCausalLM" in said
    assert known.removesuffix(".").split("; ") == [family.title for family in families()]
