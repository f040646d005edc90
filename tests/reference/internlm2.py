"""InternLM2's forward pass in plain NumPy: LLaMA's after renaming, with queries, keys and values unpacked group by group.

Source: the publisher's modeling_internlm2.py, where einops rearranges "b q (h gs d) -> b q h gs d", and the last two of a group
are the key and the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference import llama

_NAMES = {
    "model.tok_embeddings.": "model.embed_tokens.",
    "output.": "lm_head.",
    ".attention_norm.": ".input_layernorm.",
    ".ffn_norm.": ".post_attention_layernorm.",
    ".attention.wo.": ".self_attn.o_proj.",
    ".feed_forward.w1.": ".mlp.gate_proj.",
    ".feed_forward.w3.": ".mlp.up_proj.",
    ".feed_forward.w2.": ".mlp.down_proj.",
}


def forward(config: Mapping[str, Any], weights: llama.Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    return llama.forward(config, as_llama(config, weights), ids)


def as_llama(config: Mapping[str, Any], weights: llama.Weights) -> llama.Weights:
    """Return the weights under LLaMA's names."""
    renamed = {}
    for name, tensor in weights.items():
        if name.endswith("wqkv.weight"):
            prefix = name.replace("attention.wqkv.weight", "self_attn.")
            parts = unpacked(config, tensor)
            renamed |= {f"{prefix}{part}_proj.weight": rows for part, rows in zip("qkv", parts, strict=True)}
            continue
        own = next((own for own in _NAMES if name.startswith(own) or (own[0] == "." and own in name)), None)
        renamed[name if own is None else name.replace(own, _NAMES[own])] = tensor
    return renamed


def unpacked(config: Mapping[str, Any], packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = config["hidden_size"] // config["num_attention_heads"]
    shared = config["num_attention_heads"] // config["num_key_value_heads"]
    queries, keys, values = [], [], []
    for start in range(0, len(packed), (shared + 2) * size):
        heads = [packed[start + i * size : start + (i + 1) * size] for i in range(shared + 2)]
        queries += heads[:shared]
        keys.append(heads[shared])
        values.append(heads[shared + 1])
    return np.concatenate(queries), np.concatenate(keys), np.concatenate(values)
