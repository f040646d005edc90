"""ChatGLM-6B's GGUF as the graph runner reads it, written by the package gguf: no family of ours is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_NAMES = {
    "input_layernorm": "attn_norm",
    "attention.dense": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}


def write_chatglm1(path: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a checkpoint's tensors (Hugging Face names) in F32, without a tokenizer."""
    writer = gguf.GGUFWriter(path, "chatglm1")
    writer.add_block_count(config["num_layers"])
    writer.add_context_length(config.get("max_sequence_length", 2048))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["inner_hidden_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_float32("chatglm1.residual_scale", sqrt(56))
    for name, key in {"mask": "mask", "gmask": "gmask", "sop": "bos"}.items():
        writer.add_uint32(f"chatglm1.{name}_token_id", config[f"{key}_token_id"])
    writer.add_tokenizer_model("none")
    for name, values in _renamed(config, tensors):
        writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _renamed(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]):
    heads = config["num_attention_heads"]
    yield "token_embd.weight", tensors["transformer.word_embeddings.weight"]
    yield "output.weight", tensors["lm_head.weight"]
    for part in ("weight", "bias"):
        yield f"output_norm.{part}", tensors[f"transformer.final_layernorm.{part}"]
        for layer in range(config["num_layers"]):
            block = f"transformer.layers.{layer}."
            for theirs, ours in _NAMES.items():
                yield f"blk.{layer}.{ours}.{part}", tensors[f"{block}{theirs}.{part}"]
            packed = tensors[f"{block}attention.query_key_value.{part}"]
            split = packed.reshape(heads, 3, -1, *packed.shape[1:])
            for place, name in enumerate("qkv"):
                values = split[:, place].reshape(-1, *packed.shape[1:])
                yield f"blk.{layer}.attn_{name}.{part}", values
