"""A random mixture of experts, written by the package gguf: no family of ours is needed for it."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_mixture(path: Path, experts: int, *, layers: int = 9, width: int = 256, inner: int = 256) -> Path:
    """Write a LLaMA-like mixture (Mixtral's layout) in F32."""
    rng = np.random.default_rng(experts)

    def matrix(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 4)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(2)
    writer.add_vocab_size(64)
    writer.add_tokenizer_model("none")
    tensors = {
        "token_embd.weight": matrix(64, width),
        "output.weight": matrix(64, width),
        "output_norm.weight": matrix(width),
    }
    for layer in range(layers):
        shapes = {
            "attn_norm": (width,),
            "attn_q": (width, width),
            "attn_k": (width // 2, width),
            "attn_v": (width // 2, width),
            "attn_output": (width, width),
            "ffn_norm": (width,),
            "ffn_gate_inp": (experts, width),
            "ffn_gate_exps": (experts, inner, width),
            "ffn_up_exps": (experts, inner, width),
            "ffn_down_exps": (experts, width, inner),
        }
        tensors |= {f"blk.{layer}.{name}.weight": matrix(*shape) for name, shape in shapes.items()}
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
