"""Adapters that cannot be merged are refused by what they are: other programs', other methods', empty ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.adapter_folder import is_adapter
from converter.checkpoint.lora import Adapter
from converter.lora_file import plan_adapter
from converter.merging import open_merged
from converter.plan import ConvertRequest
from models.errors import ZhiyinError
from tests.support.adapters import PREFIX, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_llama import random_llama, random_qwen3_moe

CONFIG, WEIGHTS = random_llama(5)
LORA = random_adapter(WEIGHTS)


def refusal(path: Path) -> str:
    with pytest.raises(ZhiyinError) as caught:
        Adapter(path)
    return str(caught.value)


def with_options(folder: Path, **options: Any) -> Path:
    path = write_adapter(folder, LORA)
    said = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(said | options))
    return path


@pytest.mark.parametrize(
    "method", ["pissa", "pissa_niter_16", "PiSSA", "olora", "OLoRA", "corda", "loftq", "lora_ga", "milora", "a_new_one"]
)
def test_methods_that_change_the_base_are_refused(tmp_path: Path, method: str) -> None:
    assert f"was begun by {method!r}" in refusal(with_options(tmp_path, init_lora_weights=method))


@pytest.mark.parametrize("method", [True, False, None, "gaussian", "eva", "orthogonal", "mica"])
def test_other_beginnings_are_merged(tmp_path: Path, method: Any) -> None:
    assert Adapter(with_options(tmp_path, init_lora_weights=method)).low_rank


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("layer_replication", [[0, 2]]),
        ("alora_invocation_tokens", [5]),
        ("use_bdlora", {"nblocks": 2}),
        ("kasa_config", {}),
        ("velora_config", {}),
        ("monteclora_config", {}),
        ("arrow_config", {}),
        ("use_something_new", True),
        ("something_new_config", {"a": 1}),
    ],
)
def test_options_that_ask_for_more_are_named(tmp_path: Path, option: str, value: Any) -> None:
    assert f"uses {option}" in refusal(with_options(tmp_path, **{option: value}))


def test_what_training_programs_note_besides_is_left_aside(tmp_path: Path) -> None:
    noted = {
        "unsloth_fixed": True,
        "use_rslora": False,
        "arrow_config": None,
        "lora_bias": False,
        "eva_config": {"rho": 2},
    }
    assert Adapter(with_options(tmp_path, **noted)).low_rank


NAMES = {
    "kohya's sd-scripts": "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
    "LyCORIS": "lycoris_layers_0_mlp.hada_w1_a",
    "diffusers": "unet.down_blocks.0.attentions.0.to_k.lora.down.weight",
    "mlx-lm": "model.layers.0.self_attn.q_proj.lora_a",
    "torchtune": "layers.0.attn.q_proj.lora_a.weight",
    "NeMo": "model.decoder.layers.0.self_attention.adapter_layer.lora_kqv_adapter.linear_in.weight",
    "AdapterHub's adapters": "model.layers.0.self_attn.q_proj.loras.mine.lora_A",
    "Lit-GPT": "transformer.h.0.attn.attn.lora_A",
}


@pytest.mark.parametrize("program", NAMES)
@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapters.safetensors", "other.safetensors"])
@pytest.mark.parametrize("configured", [True, False])
def test_other_programs_are_named(tmp_path: Path, program: str, file: str, configured: bool) -> None:
    write_safetensors(tmp_path / file, {NAMES[program]: np.ones((4, 4), np.float32)})
    if configured:
        (tmp_path / "adapter_config.json").write_text(json.dumps({"fine_tune_type": "lora", "lora_alpha": 8}))
    said = refusal(tmp_path)
    assert f"is an adapter of {program} (its tensor" in said
    assert said.endswith(f"merge it with {program}, then convert the result.")


def test_a_folder_of_another_program_is_an_adapter(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "adapters.safetensors", {NAMES["mlx-lm"]: np.ones((4, 4), np.float32)})
    (tmp_path / "adapter_config.json").write_text("{}")
    assert is_adapter(tmp_path)


def test_an_adapter_in_gguf_has_its_own_use(tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    assert "use it with `zhiyin chat --adapter`" in refusal(path)


def test_two_adapters_in_one_file_are_no_choice_of_ours(tmp_path: Path) -> None:
    both = {
        key.replace(".weight", f".{name}.weight"): tensor for key, tensor in LORA.items() for name in ("tea", "sql")
    }
    assert "holds several adapters" in refusal(write_adapter(tmp_path / "a", both))
    whole = {f"{PREFIX}model.norm.modules_to_save.{name}.weight": np.ones(64, np.float32) for name in ("tea", "sql")}
    assert "holds several adapters" in refusal(write_adapter(tmp_path / "b", LORA | whole))


def test_empty_tensors_are_said_to_be_of_zero_3(tmp_path: Path) -> None:
    first = next(iter(LORA))
    assert "ZeRO-3" in refusal(write_adapter(tmp_path, LORA | {first: np.zeros(0, np.float32)}))


@pytest.mark.parametrize("as_adapter", [False, True])
def test_packed_experts_of_another_model_are_named(tmp_path: Path, as_adapter: bool) -> None:
    config, weights = random_qwen3_moe()
    base = write_checkpoint(tmp_path / "base", config, weights)
    pair = {"lora_A.weight": np.ones((8, 40), np.float32), "lora_B.weight": np.ones((60, 8), np.float32)}
    experts = {f"{PREFIX}model.layers.0.mlp.experts.{part}": values for part, values in pair.items()}
    lora = write_adapter(tmp_path / "lora", experts)
    said = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps(said | {"target_parameters": ["mlp.experts.down_proj"]}))
    with pytest.raises(ZhiyinError, match=r"all experts of a layer at once \(target_parameters\)"):
        if as_adapter:
            plan_adapter(ConvertRequest(base, lora=(lora,), as_adapter=True))
        else:
            open_merged(base, (lora,))


WRAPPED = {
    "FSDP": lambda name: name.replace("layers.0.", "layers.0._fsdp_wrapped_module."),
    "checkpointed": lambda name: name.replace(".self_attn", "._checkpoint_wrapped_module.self_attn"),
    "compiled": lambda name: f"_orig_mod.{name}",
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_names_of_wrappers_are_taken_off(tmp_path: Path, wrapper: str) -> None:
    base = write_checkpoint(tmp_path / "base", *random_llama(5))
    plain, wrapped = (
        open_merged(base, (write_adapter(tmp_path / name, tensors),)).adapters[0].low_rank
        for name, tensors in (("plain", LORA), ("wrapped", {WRAPPED[wrapper](k): v for k, v in LORA.items()}))
    )
    assert wrapped.keys() == plain.keys()


def test_a_value_head_is_left_out_and_said(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", *random_llama(5))
    tensors = LORA | {
        "v_head.summary.weight": np.ones((1, 64), np.float32),
        "v_head.summary.bias": np.ones(1, np.float32),
    }
    merged = open_merged(base, (write_adapter(tmp_path / "lora", tensors),))
    assert ["rates texts" in str(note) for note in merged.notes] == [True]
    assert not merged.adapters[0].whole


@pytest.mark.parametrize("task", ["SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"])
def test_adapters_that_judge_are_named(tmp_path: Path, task: str) -> None:
    assert f"judges texts ({task})" in refusal(write_adapter(tmp_path, LORA, task_type=task))


def test_adapters_in_whole_numbers_are_refused(tmp_path: Path) -> None:
    tensors = {name: (values * 100).astype(np.int8) for name, values in LORA.items()}
    assert "holds int8 instead of floats" in refusal(write_adapter(tmp_path, tensors))


def test_a_tensor_inside_a_layer_is_of_another_method(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", *random_llama(5))
    other = {f"{PREFIX}model.layers.0.self_attn.q_proj.oft_R.weight": np.ones((4, 64), np.float32)}
    with pytest.raises(ZhiyinError, match=r"oft_R.weight, which is no part of a LoRA"):
        open_merged(base, (write_adapter(tmp_path / "lora", LORA | other),))
