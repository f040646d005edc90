"""The forward pass of ChatGLM2, ChatGLM3 and GLM-4 in plain NumPy, float64. Weights carry the publisher's names.

Source: THUDM/chatglm2-6b, modeling_chatglm.py: packed queries, keys and values, shared by groups of heads; the first half of each
head rotates, neighbours pairwise; SwiGLU packed as gate, up; pre-norm residuals. `rope_ratio` divides positions in ChatGLM2-32K
and multiplies the base in the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray]


def forward(
    config: Mapping[str, Any], weights: Weights, ids: Sequence[int], *, interpolate: bool = False
) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    x = wide["transformer.embedding.word_embeddings.weight"][np.asarray(ids)]
    eps = config["layernorm_epsilon"]
    angles = rotary_angles(config, len(ids), interpolate)
    for layer in range(config["num_layers"]):
        name = f"transformer.encoder.layers.{layer}."
        x = x + attention(config, wide, name, rms_norm(x, wide[name + "input_layernorm.weight"], eps), angles)
        h = rms_norm(x, wide[name + "post_attention_layernorm.weight"], eps) @ wide[name + "mlp.dense_h_to_4h.weight"].T
        gate, up = np.split(h, 2, axis=-1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ wide[name + "mlp.dense_4h_to_h.weight"].T
    x = rms_norm(x, wide["transformer.encoder.final_layernorm.weight"], eps)
    return x @ wide["transformer.output_layer.weight"].T


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotary_angles(config: Mapping[str, Any], n: int, interpolate: bool) -> np.ndarray:
    """Return [n, 1, head size / 4]: one angle for each pair of the rotating half."""
    size = config["kv_channels"] // 2
    ratio = config.get("rope_ratio", 1)
    base, positions = (10000.0, np.arange(n) / ratio) if interpolate else (10000.0 * ratio, np.arange(n))
    return positions[:, None, None] * base ** (-np.arange(0, size, 2) / size)


def rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate [n, heads, size]; an even number and the next are a pair."""
    half = x.shape[-1] // 2
    even, odd = x[..., 0:half:2], x[..., 1:half:2]
    turned = np.stack([even * np.cos(angles) - odd * np.sin(angles), odd * np.cos(angles) + even * np.sin(angles)], -1)
    return np.concatenate([turned.reshape(*x.shape[:-1], half), x[..., half:]], -1)


def attention(config: Mapping[str, Any], wide: Weights, name: str, x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    n, heads, size = len(x), config["num_attention_heads"], config["kv_channels"]
    groups = config["multi_query_group_num"] if config["multi_query_attention"] else heads
    packed = x @ wide[name + "self_attention.query_key_value.weight"].T
    packed = packed + wide.get(name + "self_attention.query_key_value.bias", 0.0)
    q, k, v = np.split(packed.reshape(n, -1, size), [heads, heads + groups], axis=1)
    q, k = rotate(q, angles), rotate(k, angles)
    k, v = (np.repeat(part, heads // groups, axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
    return mixed.reshape(n, -1) @ wide[name + "self_attention.dense.weight"].T
