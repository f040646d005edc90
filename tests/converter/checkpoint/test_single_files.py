"""Single files of weights that are no whole model: one sentence names the file and says what it is."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, plan
from models.errors import ZhiyinError
from tests.support.random_llama import random_llama
from tests.support.random_rwkv import random_rwkv
from tests.support.torch_files import write_pickle, write_torch

RWKV = random_rwkv("4")
LORA = np.zeros((4, 128), np.float32)
PEFT = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def without(*beginnings: str) -> dict[str, np.ndarray]:
    return {name: tensor for name, tensor in RWKV.items() if not name.startswith(beginnings)}


HELD = {
    "another model": (random_llama()[1], "only RWKV's do, and this is another"),
    "a picture's network": ({"conv1.weight": LORA}, "only RWKV's do, and this is another"),
    "a LoRA": ({PEFT: LORA}, "weights of a LoRA"),
    "a LoRA of RWKV": ({"blocks.0.att.receptance.lora_A": LORA}, "holds only LoRA weights of an RWKV"),
    "a tuned state": ({"blocks.0.att.time_state": LORA}, "only a tuned initial state"),
    "no embedding": (without("emb."), "holds only some weights of an RWKV"),
    "no first block": (without("blocks.0."), "holds only some weights of an RWKV"),
    "no size": (without("blocks.0.ffn.key."), "looks like RWKV, but its tensor blocks.0.ffn.key.weight is missing"),
    "no head": (without("head."), "has no tensor head.weight, without which it is not whole"),
    "a head of another": (without("head.") | {"head.weight": LORA}, "96 x 128; download it again"),
}


def sentence(file: Path) -> str:
    with pytest.raises(ZhiyinError) as caught:
        plan(ConvertRequest(file, tokenizer="none"))
    return str(caught.value)


@pytest.mark.parametrize("held", HELD)
def test_a_file_says_what_it_is(held: str, tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    tensors, words = HELD[held]
    write_torch(file, tensors)
    said = sentence(file)
    assert said.startswith(str(file))
    assert words in said
    assert "has no config.json" not in said
    assert "its config.json" not in said


@pytest.mark.parametrize("held", [{"state": {}, "param_groups": [{"lr": 0.1}]}, {"optimizer_state_dict": {}}])
def test_an_optimizer_is_no_model(held: dict, tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    write_pickle(file, pickle.dumps(held, protocol=2))
    assert sentence(file).startswith(f"{file} holds what an optimizer goes on training from")


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    write_torch(file, RWKV)
    os.truncate(file, file.stat().st_size - 1000)
    assert sentence(file) == f"{file} is truncated, damaged or no PyTorch file; download it again."


@pytest.mark.parametrize("version", ["4", "5.2", "6"])
def test_what_the_package_rwkv_converted_is_told_by_its_weights(version: str, tmp_path: Path) -> None:
    """As its `convert_and_save_and_exit` does it: the first norm goes into the embedding, matrices are transposed."""
    converted = {}
    for name, tensor in random_rwkv(version).items():
        if name.startswith("blocks.0.ln0."):
            continue
        matrix = name.endswith(
            tuple(f"{part}.weight" for part in ("key", "value", "receptance", "gate", "output", "head"))
        )
        converted[name] = np.ascontiguousarray(tensor.T) if matrix else tensor.squeeze()
    file = tmp_path / "x.pth"
    write_torch(file, converted, {"_strategy": "cpu fp32", "_rescale_layer": "0", "_version": "0.7"})
    assert sentence(file).startswith(f"{file} was converted for the package `rwkv` already")
