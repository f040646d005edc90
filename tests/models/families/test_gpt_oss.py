"""gpt-oss against NumPy; its four-bit weights are the publisher's to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.reference.gpt_oss import forward, widened
from tests.support.agreement import largest_error
from tests.support.checkpoints import write_checkpoint
from tests.support.random_gpt_oss import YARN, random_gpt_oss

CASES = {
    "as published": random_gpt_oss(),
    "widened": random_gpt_oss(packed=False),
    "no window in any layer": random_gpt_oss(layer_types=["full_attention"] * random_gpt_oss()[0]["num_hidden_layers"]),
    "whole bounds": random_gpt_oss(rope_scaling=YARN | {"truncate": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *CASES[case], forward, shards=2) < 1e-4


def test_four_bit_weights_are_kept_in_every_mixture(tmp_path: Path) -> None:
    config, weights = random_gpt_oss()
    source = write_checkpoint(tmp_path / "checkpoint", config, weights)
    prefix = "model.layers.1.mlp.experts."
    both = widened(weights[prefix + "gate_up_proj_blocks"], weights[prefix + "gate_up_proj_scales"])
    down = widened(weights[prefix + "down_proj_blocks"], weights[prefix + "down_proj_scales"])
    for quant in ("Q8_0", "Q4_0"):
        out = convert(ConvertRequest(source, tmp_path / f"{quant}.gguf", quant, tokenizer="none")).path
        found = {tensor.name: tensor for tensor in gguf.GGUFReader(out).tensors}
        assert found["blk.1.attn_q.weight"].tensor_type.name == quant
        for name, expected in (("gate", both[:, ::2]), ("up", both[:, 1::2]), ("down", down)):
            tensor = found[f"blk.1.ffn_{name}_exps.weight"]
            assert tensor.tensor_type.name == "MXFP4"
            np.testing.assert_array_equal(gguf.quants.dequantize(tensor.data, tensor.tensor_type), expected)


def test_a_person_may_choose_another_type_for_them(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", *random_gpt_oss())
    request = ConvertRequest(source, tmp_path / "a.gguf", "Q8_0", tokenizer="none", tensor_types=("down_exps=Q4_0",))
    found = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(convert(request).path).tensors}
    assert (found["blk.0.ffn_down_exps.weight"], found["blk.0.ffn_up_exps.weight"]) == ("Q4_0", "MXFP4")


def test_packed_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    config, weights = random_gpt_oss()
    name = "model.layers.0.mlp.experts.down_proj_blocks"
    weights[name] = weights[name].astype(np.float32)
    source = write_checkpoint(tmp_path / "checkpoint", config, weights)
    with pytest.raises(BadFile, match="float32 instead of bytes"):
        convert(ConvertRequest(source, tmp_path / "a.gguf", "Q8_0", tokenizer="none"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"swiglu_limit": 5.0}, "swiglu_limit"),
        ({"attention_bias": False}, "with biases only"),
        ({"layer_types": ["sliding_attention"]}, "must have 3 entries"),
        ({"hidden_size": 80, "head_dim": 20}, "multiples of 32"),
        ({"quantization_config": {"quant_method": "gptq"}}, "GPTQ"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(changes: dict[str, Any], named: str) -> None:
    config = Config(random_gpt_oss()[0] | changes)
    with pytest.raises((UnsupportedModel, BadFile), match=named):
        family_of(config).blueprint(config, None)


def test_a_silent_configuration_has_the_published_positions() -> None:
    config = random_gpt_oss()[0]
    silent = Config({key: value for key, value in config.items() if key not in ("rope_scaling", "rope_theta")})
    blueprint = family_of(silent).blueprint(silent, None)
    assert blueprint.parameters["rope.freq_base"] == 150000
    assert blueprint.parameters["rope.scaling.factor"] == 32
    assert "rounds two bounds" in str(blueprint.warnings[0])
