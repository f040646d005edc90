"""The first Qwen's forward pass in plain NumPy, float64.

Source: the publisher's modeling_qwen.py (Qwen-7B): packed projections with a bias, `w2` as the gate, and beyond `seq_length` a
rotary base that grows with the prompt (dynamic NTK) and queries multiplied by log n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, attend, linear, rms_norm, rotate, silu


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    n, heads, eps = len(ids), config["num_attention_heads"], config["layer_norm_epsilon"]
    frequencies, scale = frequencies_of(config, n), logn(config, n)
    rotary_dim = 2 * len(frequencies)
    x = get("transformer.wte.weight")[np.asarray(ids)]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"transformer.h.{layer}."
        packed = linear(weights, prefix + "attn.c_attn", rms_norm(x, get(prefix + "ln_1.weight"), eps))
        q, k, v = (part.reshape(n, heads, -1) for part in np.split(packed, 3, axis=-1))
        q, k = (
            np.concatenate([rotate(part[..., :rotary_dim], frequencies), part[..., rotary_dim:]], -1) for part in (q, k)
        )
        x = x + linear(weights, prefix + "attn.c_proj", attend(q * scale, k, v))
        h = rms_norm(x, get(prefix + "ln_2.weight"), eps)
        gated = linear(weights, prefix + "mlp.w1", h) * silu(linear(weights, prefix + "mlp.w2", h))
        x = x + linear(weights, prefix + "mlp.c_proj", gated)
    return rms_norm(x, get("transformer.ln_f.weight"), eps) @ get("lm_head.weight").T


def frequencies_of(config: Mapping[str, Any], length: int) -> np.ndarray:
    size = int(config["kv_channels"] * config["rotary_pct"])
    base = config["rotary_emb_base"]
    if config["use_dynamic_ntk"] and length > config["seq_length"]:
        doublings = math.log2(length / config["seq_length"]) + 1
        base = base * (2 ** math.ceil(doublings) - 1) ** (size / (size - 2))
    return base ** (-np.arange(0, size, 2, dtype=np.float64) / size)


def logn(config: Mapping[str, Any], length: int) -> np.ndarray:
    """Return what multiplies the queries at each position: [length, 1, 1]."""
    trained = config["seq_length"]
    if not config["use_logn_attn"] or length <= trained:
        return np.ones((length, 1, 1))
    return np.array([math.log(i, trained) if i > trained else 1.0 for i in range(1, length + 1)])[:, None, None]
