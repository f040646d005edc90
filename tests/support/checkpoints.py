"""Makes checkpoints of the true layout: safetensors files, configurations, tokenizers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np

from tests.support.gguf_reader import GGUFReader

_DTYPES = {
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "I64": np.int64,
    "I32": np.int32,
    "I8": np.int8,
    "U8": np.uint8,
    "U32": np.uint32,
}


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], dtype: str | None = None) -> None:
    """Write one file; `dtype` (F32, F16, BF16) converts all tensors, None keeps each as it is."""
    names = {np.dtype(kind): name for name, kind in _DTYPES.items()}
    arrays = {
        name: np.ascontiguousarray(a if dtype is None else a.astype(_DTYPES[dtype])) for name, a in tensors.items()
    }
    header, offset = {}, 0
    for name, array in arrays.items():
        end = offset + array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def write_checkpoint(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    *,
    shards: int = 1,
    dtype: str | None = None,
) -> Path:
    """Write config.json and the weights, in one file or in `shards` files with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, dtype)
        return folder
    weight_map = {}
    names = list(tensors)
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[number::shards]}
        write_safetensors(folder / file, part, dtype)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    return folder


def unpermuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of query and key rows (pairs beside each other -> two halves)."""
    size = weight.shape[0] // heads
    return weight.reshape(heads, size // 2, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


_GLOBAL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def fields_of(reader: GGUFReader) -> dict[str, Any]:
    """Return the metadata of a GGUF file as plain values."""
    return {name: entry.contents() for name, entry in reader.fields.items()}


def checkpoint_of_gguf(source: Path, folder: Path, *, shards: int = 1, dtype: str = "F32") -> Path:
    """Make the Hugging Face checkpoint that a LLaMA-like GGUF file came from: weights, configuration, tokenizer."""
    reader = GGUFReader(source)
    field = fields_of(reader)
    heads, kv_heads = field["llama.attention.head_count"], field["llama.attention.head_count_kv"]
    tensors: dict[str, np.ndarray] = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
            weight = unpermuted(weight, heads if "attn_q" in tensor.name else kv_heads)
        tensors[_published_name(tensor.name)] = weight
    config = _config_of(field, tied="lm_head.weight" not in tensors)
    write_checkpoint(folder, config, tensors, shards=shards, dtype=dtype)
    write_smollm_tokenizer(folder, field)
    return folder


def outline_of_gguf(source: Path, folder: Path, **changes: Any) -> Path:
    """Make the same checkpoint with a hole in the place of its weights: all are zero, and nothing is on the disk.

    `changes` go into the configuration.
    """
    reader = GGUFReader(source)
    field = fields_of(reader)
    shapes = {_published_name(t.name): tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors}
    folder.mkdir(parents=True, exist_ok=True)
    config = _config_of(field, tied="lm_head.weight" not in shapes) | changes
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 2 * prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    write_smollm_tokenizer(folder, field)
    return folder


def _config_of(field: Mapping[str, Any], *, tied: bool) -> dict[str, Any]:
    """Return the configuration that a LLaMA-like file's metadata came from."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": field["llama.embedding_length"],
        "intermediate_size": field["llama.feed_forward_length"],
        "num_hidden_layers": field["llama.block_count"],
        "num_attention_heads": field["llama.attention.head_count"],
        "num_key_value_heads": field["llama.attention.head_count_kv"],
        "max_position_embeddings": field["llama.context_length"],
        "rms_norm_eps": field["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": field["llama.rope.freq_base"],
        "vocab_size": field["llama.vocab_size"],
        "tie_word_embeddings": tied,
        "hidden_act": "silu",
        "bos_token_id": field["tokenizer.ggml.bos_token_id"],
        "eos_token_id": field["tokenizer.ggml.eos_token_id"],
    }


def _published_name(name: str) -> str:
    if name in _GLOBAL_NAMES:
        return _GLOBAL_NAMES[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}.{kind}"


def write_smollm_tokenizer(folder: Path, field: Mapping[str, Any]) -> None:
    """Write tokenizer.json and tokenizer_config.json in SmolLM2's form: digits one by one, then GPT-2's rules."""
    tokens, types = field["tokenizer.ggml.tokens"], field["tokenizer.ggml.token_type"]
    added = [
        {
            "id": i,
            "content": t,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for i, (t, kind) in enumerate(zip(tokens, types, strict=True))
        if kind == gguf.TokenType.CONTROL
    ]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": field["tokenizer.ggml.merges"],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")
    described = {
        "tokenizer_class": "GPT2Tokenizer",
        "bos_token": tokens[field["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[field["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[field["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[field["tokenizer.ggml.padding_token_id"]],
        "chat_template": field["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")


def dequantized_gguf(source: Path, out: Path) -> Path:
    """Copy a GGUF file with all weights in F32, by the package gguf alone.

    A quantized file's own logits carry the error of 8-bit activations too, which ggml's kernels use for quantized weights;
    this copy has the same weights without that error.
    """
    reader = GGUFReader(source)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for name, entry in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        writer.add_key_value(name, entry.contents(), entry.types[0], entry.types[-1] if len(entry.types) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out
