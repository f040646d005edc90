"""GLM: converted files compute what the publishers' code and independent references compute."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import gguf
import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from tests.conftest import oracles
from tests.reference import chatglm, chatglm1, glm4
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_glm import quantized_by_publisher, random_chatglm, random_chatglm1, random_glm

REMOTE: dict[str, dict[str, Any]] = {
    "ChatGLM2": {"_name_or_path": "THUDM/chatglm2-6b"},
    "ChatGLM2-32k": {"_name_or_path": "THUDM/chatglm2-6b-32k", "rope_ratio": 4, "seq_length": 32768},
    "ChatGLM3-32k": {"_name_or_path": "THUDM/chatglm3-6b-32k", "rope_ratio": 50, "seq_length": 32768},
    "GLM-4": {"layernorm_epsilon": 1.5625e-07, "rope_ratio": 500, "architectures": ["ChatGLMForConditionalGeneration"]},
    "all heads": {"multi_query_attention": False},
    "no biases": {"add_qkv_bias": False},
}
NATIVE: dict[str, dict[str, Any]] = {
    "GLM-4": {},
    "GLM-Edge": {"partial_rotary_factor": 1.0, "tie_word_embeddings": True, "attention_bias": False},
    "long": {"rope_theta": 5000000.0, "partial_rotary_factor": 0.25},
    "GLM-4-0414": {"architectures": ["Glm4ForCausalLM"], "model_type": "glm4"},
    "GLM-4-32B": {"architectures": ["Glm4ForCausalLM"], "head_dim": 32, "attention_bias": False},
}


def converted(folder: Path, out: Path, quant: str = "F32") -> Path:
    convert(ConvertRequest(folder, out, quant, tokenizer="none"))
    return out


def random_ids(config: dict[str, Any], count: int) -> list[int]:
    rows = config.get("padded_vocab_size") or config["vocab_size"]
    return [int(number) for number in np.random.default_rng(1).integers(0, rows, count)]


def test_chatglm2_agrees_with_the_publisher(engine: Engine, tmp_path: Path) -> None:
    oracle = oracles() / "chatglm2-6b"
    expected = np.load(oracle / "expected.npz")
    out = converted(oracle, tmp_path / "model.gguf")
    found = engine_logits(engine, out, expected["ids"].tolist(), tmp_path / "logits.npy")
    error = np.abs(found[-len(expected["logits"]) :] - expected["logits"]).max()
    print(f"ChatGLM2 against the publisher's outputs: {error:.1e}")
    assert error < 1e-4


def test_chatglm1_agrees_with_the_publisher(engine: Engine, tmp_path: Path) -> None:
    oracle = oracles() / "chatglm-6b"
    expected = np.load(oracle / "expected.npz")
    out = converted(oracle, tmp_path / "model.gguf")
    found = engine_logits(engine, out, expected["ids"].tolist(), tmp_path / "logits.npy")
    error = np.abs(found - expected["logits"]).max()
    print(f"ChatGLM-6B against the publisher's outputs: {error:.1e}")
    assert error < 1e-4


@pytest.mark.parametrize("ids", [[7, 8, 101, 104, 9, 10], [7, 100, 8, 104, 9], [104, 9, 10], [7, 8, 9]], ids=str)
def test_chatglm1_agrees_with_the_reference(ids: list[int], engine: Engine, tmp_path: Path) -> None:
    config, weights = random_chatglm1(2)
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, weights), tmp_path / "model.gguf")
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - chatglm1.forward(config, weights, ids)).max() < 1e-4


@pytest.mark.parametrize("bits", [4, 8])
def test_the_publishers_quantized_chatglm1(bits: int, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_chatglm1()
    stored = quantized_by_publisher(weights, bits)
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, stored), tmp_path / "model.gguf")
    ids = [*random_ids({"vocab_size": 100}, 70), 101, 104, *random_ids({"vocab_size": 100}, 20)]
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    expected = chatglm1.forward(config, widened(stored, bits), ids)
    print(f"ChatGLM-6B, {bits} bits: {np.abs(found - expected).max():.1e}")
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("variant", REMOTE, ids=str)
def test_publishers_layout_agrees_with_the_reference(variant: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_chatglm(**REMOTE[variant])
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, weights), tmp_path / "model.gguf")
    ids = random_ids(config, 150)
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    expected = chatglm.forward(config, weights, ids, interpolate=variant == "ChatGLM2-32k")
    print(f"{variant}: {np.abs(found - expected).max():.1e}")
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("variant", NATIVE, ids=str)
def test_layout_of_transformers_agrees_with_the_reference(variant: str, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_glm(**NATIVE[variant])
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, weights), tmp_path / "model.gguf")
    ids = random_ids(config, 150)
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    error = np.abs(found - glm4.forward(config, weights, ids)).max()
    print(f"{variant}: {error:.1e}")
    assert error < 1e-4


@pytest.mark.parametrize(
    "checkpoint",
    [random_chatglm(rope_ratio=50), random_chatglm(rope_ratio=4, _name_or_path="THUDM/chatglm2-6b-32k"), random_glm()],
    ids=["ChatGLM3", "ChatGLM2-32k", "GLM-4"],
)
def test_a_prompt_at_once_equals_token_by_token(checkpoint: Any, tmp_path: Path) -> None:
    from converter.gguf_header import read_gguf_header
    from desktop_app.engine.llama.runner import LlamaRunner
    from desktop_app.engine.protocol import LoadSettings

    config, weights = checkpoint
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, weights), tmp_path / "model.gguf")
    ids = random_ids(config, 80)
    settings = LoadSettings(context=128, kv_type="f32", threads=1)
    runner = LlamaRunner(read_gguf_header(out, arrays=False), settings, lambda part: None)
    try:
        at_once = runner.all_logits(ids)
        runner.truncate(0)
        one_by_one = np.stack([last_logits(runner, number) for number in ids])
    finally:
        runner.close()
    assert np.abs(at_once - one_by_one).max() < 1e-4


def last_logits(runner: Any, token: int) -> np.ndarray:
    import llama_cpp.llama_cpp as llama

    runner.decode((token,))
    pointer = llama.llama_get_logits_ith(runner._context, -1)
    return np.ctypeslib.as_array(pointer, (runner.info.vocabulary_size,)).copy()


@pytest.mark.parametrize("bits", [4, 8])
def test_the_publishers_quantized_chatglm2(bits: int, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_chatglm(quantization_bit=bits)
    head = "transformer.output_layer.weight"
    stored = quantized_by_publisher(weights, bits, head)
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, stored), tmp_path / "model.gguf")
    ids = random_ids(config, 70)
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - chatglm.forward(config, widened(stored, bits), ids)).max() < 1e-4


@pytest.mark.parametrize("bits", [0, 4, 8])
def test_chatglm1_is_written_as_the_graph_runner_reads_it(bits: int, tmp_path: Path) -> None:
    config, weights = random_chatglm1()
    stored = quantized_by_publisher(weights, bits, "transformer.word_embeddings.weight") if bits else weights
    out = converted(write_checkpoint(tmp_path / "checkpoint", config, stored), tmp_path / "model.gguf")
    reader = gguf.GGUFReader(out)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    wide = widened(stored, bits) if bits else weights
    for layer in range(2):
        packed = wide[f"transformer.layers.{layer}.attention.query_key_value.weight"]
        bias = wide[f"transformer.layers.{layer}.attention.query_key_value.bias"]
        for head in range(4):
            for number, part in enumerate("qkv"):
                rows = slice(head * 48 + number * 16, head * 48 + number * 16 + 16)
                own = slice(head * 16, head * 16 + 16)
                np.testing.assert_array_equal(found[f"blk.{layer}.attn_{part}.weight"][own], packed[rows])
                np.testing.assert_array_equal(found[f"blk.{layer}.attn_{part}.bias"][own], bias[rows])
    np.testing.assert_array_equal(found["token_embd.weight"], wide["transformer.word_embeddings.weight"])
    np.testing.assert_array_equal(found["blk.1.ffn_down.weight"], wide["transformer.layers.1.mlp.dense_4h_to_h.weight"])
    value = {name: field.contents() for name, field in reader.fields.items()}
    assert value["general.architecture"] == "chatglm1"
    assert value["chatglm1.residual_scale"] == pytest.approx(np.sqrt(56))
    assert [value[f"chatglm1.{name}_token_id"] for name in ("mask", "gmask", "sop")] == [100, 101, 104]


def widened(stored: dict[str, np.ndarray], bits: int) -> dict[str, np.ndarray]:
    """Undo the publisher's quantization, number by number."""
    result = {}
    for name, values in stored.items():
        scale = stored.get(name + "_scale")
        if scale is None:
            result[name] = values.astype(np.float32)
            continue
        numbers = values.astype(np.int32)
        if bits == 4:
            halves = [(numbers & 0xF0) // 16, numbers & 15]
            numbers = np.stack([(half + 8) % 16 - 8 for half in halves], -1).reshape(len(values), -1)
        result[name] = numbers.astype(np.float32) * scale.astype(np.float32)[:, None]
    return result


@pytest.mark.parametrize(
    "change",
    [{"rmsnorm": False}, {"apply_residual_connection_post_layernorm": True}, {"pre_seq_len": 128}, {"kv_channels": 8}],
    ids=str,
)
def test_what_llama_cpp_cannot_run_is_refused(change: dict[str, Any]) -> None:
    config, _ = random_chatglm()
    family = family_of(Config({**config, **change}))
    with pytest.raises(UnsupportedModel):
        family.blueprint(Config({**config, **change}), None)


@pytest.mark.parametrize("checkpoint", [random_chatglm, random_chatglm1])
def test_an_absurd_number_of_layers_is_refused(checkpoint: Any) -> None:
    changed = Config(checkpoint()[0] | {"num_layers": 10**9})
    with pytest.raises(BadFile, match="to 1000"):
        family_of(changed).blueprint(changed, None)


def test_the_generations_are_told_apart() -> None:
    assert family_of(Config(random_chatglm()[0])).name == "chatglm"
    assert family_of(Config(random_chatglm1()[0])).name == "chatglm1"
    assert family_of(Config(random_glm()[0])).name == "glm"


WIDE: dict[str, Any] = {
    "chatglm": random_chatglm(
        hidden_size=512, kv_channels=128, ffn_hidden_size=768, num_layers=4, padded_vocab_size=512
    ),
    "glm": random_glm(hidden_size=512, head_dim=128, intermediate_size=768, num_hidden_layers=4, vocab_size=512),
    "glm4": random_glm(
        architectures=["Glm4ForCausalLM"],
        hidden_size=512,
        head_dim=128,
        intermediate_size=768,
        num_hidden_layers=4,
        vocab_size=512,
    ),
}


@pytest.mark.parametrize("layout", WIDE)
def test_quantized_files_have_llama_quantizes_bytes(layout: str, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", *WIDE[layout])
    ours, theirs = converted(source, tmp_path / "ours.gguf", "Q4_K_M"), tmp_path / "theirs.gguf"
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.nthread = llama.LLAMA_FTYPE_MOSTLY_Q4_K_M, 1
    exact = converted(source, tmp_path / "exact.gguf")
    assert llama.llama_model_quantize(str(exact).encode(), str(theirs).encode(), ctypes.byref(params)) == 0
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(ours).tensors}
    for tensor in gguf.GGUFReader(theirs).tensors:
        assert found[tensor.name].tensor_type == tensor.tensor_type
        np.testing.assert_array_equal(found[tensor.name].data, tensor.data)
