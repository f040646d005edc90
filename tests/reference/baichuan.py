"""Baichuan's forward pass in plain NumPy, float64.

Source: the publisher's modeling_baichuan.py of Baichuan-7B, Baichuan-13B-Base, Baichuan2-7B-Base and Baichuan2-13B-Base: queries,
keys and values packed in `W_pack`, rotary positions (7B) or ALiBi (13B; Press et al. 2022), head rows of length 1 (Baichuan2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference import llama


def forward(config: Mapping[str, Any], weights: llama.Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    unpacked = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    for name in [name for name in unpacked if "W_pack" in name]:
        parts = np.split(unpacked.pop(name), 3)
        unpacked |= {name.replace("W_pack", f"{part}_proj"): rows for part, rows in zip("qkv", parts, strict=True)}
    if "z_loss_weight" in config:
        head = unpacked["lm_head.weight"]
        unpacked["lm_head.weight"] = head / np.sqrt((head**2).sum(-1, keepdims=True))
    if "max_position_embeddings" in config:
        return llama.forward(config, unpacked, ids)
    return alibi_forward(config, unpacked, ids)


def alibi_forward(config: Mapping[str, Any], weights: llama.Weights, ids: Sequence[int]) -> np.ndarray:
    n, heads, eps = len(ids), config["num_attention_heads"], config["rms_norm_eps"]
    bias = alibi_slopes(heads)[:, None, None] * (np.arange(n) - np.arange(n)[:, None])
    x = weights["model.embed_tokens.weight"][np.asarray(ids)]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        h = llama.rms_norm(x, weights[prefix + "input_layernorm.weight"], eps)
        q, k, v = (llama.linear(weights, f"{prefix}self_attn.{part}_proj", h).reshape(n, heads, -1) for part in "qkv")
        x = x + llama.linear(weights, prefix + "self_attn.o_proj", llama.attend(q, k, v, bias=bias))
        h = llama.rms_norm(x, weights[prefix + "post_attention_layernorm.weight"], eps)
        x = x + llama.swiglu(config, weights, prefix + "mlp.", h)
    return llama.rms_norm(x, weights["model.norm.weight"], eps) @ weights["lm_head.weight"].T


def alibi_slopes(heads: int) -> np.ndarray:
    """Return 2^(-8/n), 2^(-16/n) …; heads beyond a power of two take every other slope of twice as many."""
    if math.log2(heads).is_integer():
        return 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
    fitting = 2 ** math.floor(math.log2(heads))
    return np.concatenate([alibi_slopes(fitting), alibi_slopes(2 * fitting)[::2][: heads - fitting]])
