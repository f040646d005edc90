"""Adapters on other layouts than plain LLaMA's, and Chinese-LLaMA-Alpaca's as it is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse
from models.errors import ZhiyinError
from tests.benchmarks.bench_convert import write_vocabulary
from tests.reference import baichuan, chatglm, chatglm1, llama, moe
from tests.reference.lora import with_adapter
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_baichuan import SECOND_7B, random_baichuan
from tests.support.random_glm import quantized_by_publisher, random_chatglm, random_chatglm1
from tests.support.random_llama import random_llama, random_mixtral, random_qwen2

IDS = tuple(range(5, 95, 3))


def logits(engine: Engine, folder: Path, model: Path, *adapters: AdapterUse) -> np.ndarray:
    return engine_logits(engine, model, IDS, folder / "logits.npy", *adapters)


FAMILIES: dict[str, tuple[Any, Callable[..., np.ndarray], tuple[str, ...]]] = {
    "packed projections": (random_baichuan(SECOND_7B, 3), baichuan.forward, ("W_pack", "o_proj", "down_proj")),
    "ChatGLM's packed projections": (
        random_chatglm(rope_ratio=50),
        chatglm.forward,
        ("query_key_value", "self_attention.dense", "dense_h_to_4h", "dense_4h_to_h"),
    ),
    "biases and halves that rotate": (random_qwen2(), llama.forward, ("q_proj", "k_proj", "v_proj")),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_merged_and_at_run_time(name: str, engine: Engine, tmp_path: Path) -> None:
    (config, weights), forward, targets = FAMILIES[name]
    base = write_checkpoint(tmp_path / "base", config, weights)
    tensors = random_adapter(weights, targets)
    lora = (write_adapter(tmp_path / "lora", tensors),)
    wanted = forward(config, with_adapter(weights, tensors, scales=2.0), IDS)
    merged = convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", tokenizer="none", lora=lora)).path
    assert np.abs(logits(engine, tmp_path, merged) - wanted).max() < 1e-4
    plain = convert(ConvertRequest(base, tmp_path / "b.gguf", "F32", tokenizer="none")).path
    file = convert(ConvertRequest(base, tmp_path / "a.gguf", "F32", lora=lora, as_adapter=True)).path
    assert np.abs(logits(engine, tmp_path, plain, AdapterUse(file)) - wanted).max() < 1e-4


def test_a_head_that_is_normalised_is_merged_first(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_baichuan(SECOND_7B, 3)
    base = write_checkpoint(tmp_path / "base", config, weights)
    tensors = random_adapter(weights, ("lm_head",))
    lora = (write_adapter(tmp_path / "lora", tensors),)
    merged = convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", tokenizer="none", lora=lora)).path
    wanted = baichuan.forward(config, with_adapter(weights, tensors, scales=2.0), IDS)
    assert np.abs(logits(engine, tmp_path, merged) - wanted).max() < 1e-4
    with pytest.raises(ZhiyinError, match="merge the adapter with --lora"):
        convert(ConvertRequest(base, tmp_path / "a.gguf", lora=lora, as_adapter=True))


def test_experts_are_changed_at_run_time(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_mixtral()
    base = write_checkpoint(tmp_path / "base", config, weights)
    tensors = random_adapter(weights, ("q_proj", "w1", "w2", "w3"))
    lora = (write_adapter(tmp_path / "lora", tensors, alpha_pattern={"w2": 12}),)
    plain = convert(ConvertRequest(base, tmp_path / "b.gguf", "F32", tokenizer="none")).path
    file = convert(ConvertRequest(base, tmp_path / "a.gguf", "F32", lora=lora, as_adapter=True)).path
    modules = {name.removesuffix(".weight") for name in weights}
    scales = {module: 3.0 if module.endswith("w2") else 2.0 for module in modules}
    wanted = moe.mixtral_forward(config, with_adapter(weights, tensors, scales=scales), IDS)
    assert np.abs(logits(engine, tmp_path, plain, AdapterUse(file)) - wanted).max() < 1e-4


def test_single_experts_are_merged(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_mixtral()
    base = write_checkpoint(tmp_path / "base", config, weights)
    tensors = random_adapter(weights, ("q_proj", "experts.1.w2", "experts.3.w1"))
    lora = (write_adapter(tmp_path / "lora", tensors),)
    merged = convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", tokenizer="none", lora=lora)).path
    wanted = moe.mixtral_forward(config, with_adapter(weights, tensors, scales=2.0), IDS)
    assert np.abs(logits(engine, tmp_path, merged) - wanted).max() < 1e-4
    with pytest.raises(ZhiyinError, match="does not change all experts"):
        convert(ConvertRequest(base, tmp_path / "a.gguf", lora=lora, as_adapter=True))


def test_chinese_alpaca_plus_from_the_original_llama(engine: Engine, tmp_path: Path) -> None:
    """The published vocabularies: 32,000 -> 49,953 (LLaMA-Plus) -> 49,954 (Alpaca-Plus, whose [PAD] is an added token)."""
    config, weights = random_llama(5, vocab_size=32000, hidden_size=32, bos_token_id=1, eos_token_id=2)
    base = write_checkpoint(tmp_path / "llama-7b-hf", config, weights, dtype="F16")
    write_vocabulary(base / "tokenizer.model", 32000)
    rounded = {name: weight.astype(np.float16) for name, weight in weights.items()}
    expected, lora = rounded, []
    for seed, (name, rows) in enumerate((("llama", 49953), ("alpaca", 49954))):
        tensors = random_adapter(weights, seed=seed, tokens=rows)
        tensors = {key: values.astype(np.float16) for key, values in tensors.items()}
        published = {"enable_lora": None, "merge_weights": False, "modules_to_save": ["embed_tokens", "lm_head"]}
        folder = write_adapter(tmp_path / f"chinese-{name}-plus-lora-7b", tensors, torch=True, **published)
        write_vocabulary(folder / "tokenizer.model", 49953)
        if rows == 49954:
            (folder / "added_tokens.json").write_text(json.dumps({"[PAD]": 49953}))
        lora.append(folder)
        expected = with_adapter(expected, tensors, scales=2.0)
    result = convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", lora=tuple(lora)))
    vocabularies = [text for step in result.steps for text in ("32,000", "49,953", "49,954") if text in str(step)]
    assert vocabularies == ["32,000", "49,953", "49,954"]
    fields = read_gguf_header(result.path).metadata
    assert len(fields["tokenizer.ggml.tokens"]) == fields["llama.vocab_size"] == 49954
    assert fields["tokenizer.ggml.tokens"][-1] == "[PAD]"
    found = logits(engine, tmp_path, result.path)
    assert found.shape == (len(IDS), 49954)
    assert np.abs(found - llama.forward(config, expected, IDS)).max() < 1e-4


def test_an_adapter_on_chatglm1_is_merged(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_chatglm1()
    tensors = random_adapter(weights, ("query_key_value", "dense_4h_to_h"))
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = (write_adapter(tmp_path / "lora", tensors),)
    merged = convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", tokenizer="none", lora=lora)).path
    wanted = chatglm1.forward(config, with_adapter(weights, tensors, scales=2.0), IDS)
    assert np.abs(logits(engine, tmp_path, merged) - wanted).max() < 1e-4


@pytest.mark.parametrize("bits", [4, 8])
def test_an_adapter_on_whole_numbers_is_refused(bits: int, tmp_path: Path) -> None:
    config, weights = random_chatglm()
    base = write_checkpoint(tmp_path / "base", config, quantized_by_publisher(weights, bits))
    lora = (write_adapter(tmp_path / "lora", random_adapter(weights, ("query_key_value",))),)
    with pytest.raises(ZhiyinError, match="original checkpoint"):
        convert(ConvertRequest(base, tmp_path / "m.gguf", "F32", tokenizer="none", lora=lora))
