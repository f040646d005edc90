"""Adapters of packed experts (`target_parameters`), of rows (`trainable_token_indices`) and of biases (`lora_bias`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.lora import Adapter
from converter.merging import open_merged
from converter.pipeline import ConvertRequest, convert, plan
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse
from models.errors import BadFile, UnsupportedModel, ZhiyinError
from tests.support.adapters import PREFIX, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_llama import Checkpoint, random_llama, random_mixtral, random_qwen2, random_qwen3_moe

IDS = tuple(range(5, 95, 3))
RANK, SCALE = 2, 8 / 2
BOTH = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
Tensors = dict[str, np.ndarray]


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def packed_adapter(layers: int, experts: int, inner: int, hidden: int) -> Tensors:
    """Return what PEFT saves for both parameters: the inner wrapper is that of gate_up_proj."""
    tensors = {}
    for layer in range(layers):
        module = f"{PREFIX}model.layers.{layer}.mlp.experts."
        tensors |= {
            f"{module}base_layer.lora_A.weight": draw(experts * RANK, hidden, seed=layer),
            f"{module}base_layer.lora_B.weight": draw(2 * inner, experts * RANK, seed=layer + 10),
            f"{module}lora_A.weight": draw(experts * RANK, inner, seed=layer + 20),
            f"{module}lora_B.weight": draw(hidden, experts * RANK, seed=layer + 30),
        }
    return tensors


def deltas(tensors: Tensors, layer: int, experts: int, *, nested: bool) -> np.ndarray:
    """Return PEFT's own formula, [experts, out, in]: tuners/lora/layer.py, `ParamWrapper.get_delta_weight`."""
    module = f"{PREFIX}model.layers.{layer}.mlp.experts." + ("base_layer." if nested else "")
    a, b = tensors[f"{module}lora_A.weight"], tensors[f"{module}lora_B.weight"]
    a, b = a.reshape(experts, -1, a.shape[-1]), b.reshape(b.shape[0], -1, experts)
    return SCALE * np.einsum("ore,eri->eoi", b, a)


SPLIT: dict[str, tuple[Checkpoint, str, tuple[str, str, str]]] = {
    "Qwen3-MoE": (random_qwen3_moe(3), "mlp.experts", ("gate_proj", "up_proj", "down_proj")),
    "Mixtral": (random_mixtral(3), "block_sparse_moe.experts", ("w1", "w3", "w2")),
}


def adapter_of(name: str, folder: Path, **said: Any) -> tuple[Path, Path, Tensors, int]:
    (config, weights), module, parts = SPLIT[name]
    experts = config.get("num_experts") or config["num_local_experts"]
    inner, hidden = weights[f"model.layers.0.{module}.0.{parts[0]}.weight"].shape
    tensors = packed_adapter(config["num_hidden_layers"], experts, inner, hidden)
    base = write_checkpoint(folder / "base", config, weights)
    options = {"r": RANK, "target_parameters": BOTH, "target_modules": []} | said
    return base, write_adapter(folder / "lora", tensors, **options), tensors, experts


@pytest.mark.parametrize("name", SPLIT)
def test_packed_changes_of_experts_that_are_stored_each(engine: Engine, tmp_path: Path, name: str) -> None:
    base, lora, tensors, experts = adapter_of(name, tmp_path)
    (_, weights), module, parts = SPLIT[name]
    merged = open_merged(base, (lora,))
    for layer in range(2):
        both, down = (deltas(tensors, layer, experts, nested=nested) for nested in (True, False))
        inner = both.shape[1] // 2
        wanted = dict(zip(parts, (both[:, :inner], both[:, inner:], down), strict=True))
        for part, change in wanted.items():
            for expert in range(experts):
                tensor = f"model.layers.{layer}.{module}.{expert}.{part}.weight"
                np.testing.assert_allclose(merged.read(tensor), weights[tensor] + change[expert], atol=1e-6)
    merged.close()
    same_at_run_time(engine, tmp_path, base, lora)


def same_at_run_time(engine: Engine, folder: Path, base: Path, lora: Path) -> None:
    def converted(name: str, *adapters: Path, as_adapter: bool = False) -> Path:
        request = ConvertRequest(base, folder / name, "F32", tokenizer="none", lora=adapters, as_adapter=as_adapter)
        return convert(request).path

    def logits(model: Path, *uses: AdapterUse) -> np.ndarray:
        return engine_logits(engine, model, IDS, folder / "logits.npy", *uses)

    whole, plain = logits(converted("merged.gguf", lora)), converted("base.gguf")
    use = AdapterUse(converted("adapter.gguf", lora, as_adapter=True))
    assert np.abs(logits(plain, use) - whole).max() < 1e-4
    assert np.abs(logits(plain) - whole).max() > 1e-2


def test_one_parameter_alone_is_told_by_its_name(tmp_path: Path) -> None:
    (config, weights), _, _ = SPLIT["Qwen3-MoE"]
    base, _, tensors, experts = adapter_of("Qwen3-MoE", tmp_path)
    alone = {name: values for name, values in tensors.items() if "base_layer" not in name and "layers.1" in name}
    lora = write_adapter(tmp_path / "alone", alone, r=RANK, target_parameters=["layers.1.mlp.experts.down_proj"])
    merged = open_merged(base, (lora,))
    name = "model.layers.1.mlp.experts.2.down_proj.weight"
    change = deltas(tensors, 1, experts, nested=False)[2]
    np.testing.assert_allclose(merged.read(name), weights[name] + change, atol=1e-6)
    assert len(merged.adapters[0].low_rank) == experts
    assert config["num_hidden_layers"] > 1
    merged.close()


@pytest.mark.parametrize("hidden", [64, 96])
def test_packed_changes_of_experts_that_are_stored_packed_and_turned(
    engine: Engine, tmp_path: Path, hidden: int
) -> None:
    """gpt-oss: (experts, in, out), which of its square matrices only those beside them tell."""
    config, weights = random_gpt_oss(3, packed=False, hidden_size=hidden, intermediate_size=64)
    experts = config["num_local_experts"]
    tensors = packed_adapter(config["num_hidden_layers"], experts, 64, hidden)
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors, r=RANK, target_parameters=BOTH)
    merged = open_merged(base, (lora,))
    for nested, part in ((True, "gate_up_proj"), (False, "down_proj")):
        name = f"model.layers.1.mlp.experts.{part}"
        change = deltas(tensors, 1, experts, nested=nested).swapaxes(1, 2)
        np.testing.assert_allclose(merged.read(name), weights[name] + change, atol=1e-6)
        part_of = np.asarray(merged.rows(name)[1:2])
        np.testing.assert_allclose(part_of, (weights[name] + change)[1:2], atol=1e-6)
    merged.close()
    same_at_run_time(engine, tmp_path, base, lora)


def test_packed_changes_of_a_base_in_four_bits_are_refused(tmp_path: Path) -> None:
    config, weights = random_gpt_oss(3)
    base = write_checkpoint(tmp_path / "base", config, weights)
    tensors = packed_adapter(2, config["num_local_experts"], config["intermediate_size"], config["hidden_size"])
    lora = write_adapter(tmp_path / "lora", tensors, r=RANK, target_parameters=BOTH)
    with pytest.raises(UnsupportedModel, match=r"target_parameters.*in BF16"):
        open_merged(base, (lora,))


def test_patterns_mean_the_parameters_name(tmp_path: Path) -> None:
    base, lora, tensors, experts = adapter_of("Qwen3-MoE", tmp_path, alpha_pattern={"gate_up_proj": 16})
    (_, weights), _, _ = SPLIT["Qwen3-MoE"]
    merged = open_merged(base, (lora,))
    for part, nested, times in (("down_proj", False, 1), ("gate_proj", True, 2)):
        name = f"model.layers.0.mlp.experts.1.{part}.weight"
        change = times * deltas(tensors, 0, experts, nested=nested)[1, : len(weights[name])]
        np.testing.assert_allclose(merged.read(name), weights[name] + change, atol=1e-6)
    merged.close()


EMBEDDINGS, HEAD = "model.embed_tokens", "lm_head"
LLAMA: Checkpoint = random_llama(5)
WIDTH = LLAMA[0]["hidden_size"]


def tokens(**rows: int) -> Tensors:
    return {f"{PREFIX}{name}.token_adapter.trainable_tokens_delta": draw(count, WIDTH) for name, count in rows.items()}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"trainable_token_indices": [7, 3, 11]}, [7, 3, 11]),
        ({"trainable_token_indices": {"embed_tokens": [1, 2, 0]}}, [1, 2, 0]),
        ({"peft_type": "TRAINABLE_TOKENS", "token_indices": [9, 8, 5]}, [9, 8, 5]),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_rows_of_tokens_take_the_place_of_the_bases(
    tmp_path: Path, said: dict[str, Any], wanted: list[int], tied: bool
) -> None:
    config, weights = LLAMA[0] | {"tie_word_embeddings": tied}, dict(LLAMA[1])
    if tied:
        del weights["lm_head.weight"]
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tokens(**{EMBEDDINGS: 3}), **said)
    merged = open_merged(base, (lora,))
    changed = weights[f"{EMBEDDINGS}.weight"].copy()
    changed[wanted] = draw(3, WIDTH)
    np.testing.assert_array_equal(merged.read(f"{EMBEDDINGS}.weight"), changed)
    np.testing.assert_array_equal(np.asarray(merged.rows(f"{EMBEDDINGS}.weight")[2:8]), changed[2:8])
    assert (f"{HEAD}.weight" in merged.tensors) is not tied
    merged.close()
    with pytest.raises(ZhiyinError, match=r"because it replaces rows of model.embed_tokens.weight"):
        plan(ConvertRequest(base, lora=(lora,), as_adapter=True))


def test_rows_of_a_head_that_is_tied_make_one_of_its_own(tmp_path: Path) -> None:
    weights = {name: values for name, values in LLAMA[1].items() if name != "lm_head.weight"}
    base = write_checkpoint(tmp_path / "base", LLAMA[0] | {"tie_word_embeddings": True}, weights)
    lora = write_adapter(tmp_path / "lora", tokens(**{HEAD: 2}), trainable_token_indices={HEAD: [4, 2]})
    merged = open_merged(base, (lora,))
    np.testing.assert_array_equal(merged.read(f"{EMBEDDINGS}.weight"), weights[f"{EMBEDDINGS}.weight"])
    np.testing.assert_array_equal(merged.read(f"{HEAD}.weight")[[4, 2]], draw(2, WIDTH))
    merged.close()


@pytest.mark.parametrize("indices", [None, [1], [1, 2, -3], [1, 2, "3"], {"other": [1, 2, 3]}])
def test_rows_of_unknown_tokens_are_refused(tmp_path: Path, indices: Any) -> None:
    lora = write_adapter(tmp_path, tokens(**{EMBEDDINGS: 3}), trainable_token_indices=indices)
    with pytest.raises(BadFile, match="does not say of which tokens"):
        Adapter(lora)


def test_rows_beyond_the_vocabulary_are_refused(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", *LLAMA)
    lora = write_adapter(tmp_path / "lora", tokens(**{EMBEDDINGS: 1}), trainable_token_indices=[9999])
    with pytest.raises(BadFile, match="trained with a vocabulary"):
        open_merged(base, (lora,))


@pytest.mark.parametrize("model", [random_qwen2(), LLAMA], ids=["with biases", "without"])
def test_biases_of_lora_are_added(engine: Engine, tmp_path: Path, model: Checkpoint) -> None:
    base = write_checkpoint(tmp_path / "base", *model)
    module = "model.layers.0.self_attn.q_proj"
    rows, columns = model[1][f"{module}.weight"].shape
    tensors = {
        f"{PREFIX}{module}.lora_A.weight": draw(4, columns),
        f"{PREFIX}{module}.lora_B.weight": draw(rows, 4),
        f"{PREFIX}{module}.lora_B.bias": draw(rows),
    }
    lora = write_adapter(tmp_path / "lora", tensors, lora_bias=True)
    merged = open_merged(base, (lora,))
    before = model[1].get(f"{module}.bias", np.zeros(rows, np.float32))
    np.testing.assert_allclose(merged.read(f"{module}.bias"), before + 2 * draw(rows), atol=1e-6)
    merged.close()
    with pytest.raises(ZhiyinError, match="because it adds to biases"):
        plan(ConvertRequest(base, lora=(lora,), as_adapter=True))
    lengths = {f"{PREFIX}{module}.lora_B.bias": draw(rows + 1)}
    with pytest.raises(BadFile, match=r"q_proj.bias"):
        open_merged(base, (write_adapter(tmp_path / "other", tensors | lengths, lora_bias=True),))
