"""The forward pass of GLM-4 in the layout of transformers (`glm` and `glm4`) in plain NumPy, float64.

Source: transformers, models/glm/modeling_glm.py and models/glm4/modeling_glm4.py: separate queries, keys and values; the first
`partial_rotary_factor` of each head rotates, neighbours pairwise; `glm4` also norms what attention and MLP add.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray]


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    eps, double = config["rms_norm_eps"], config["architectures"] == ["Glm4ForCausalLM"]
    x = wide["model.embed_tokens.weight"][np.asarray(ids)]

    def norm(value: np.ndarray, name: str) -> np.ndarray:
        return value / np.sqrt((value * value).mean(-1, keepdims=True) + eps) * wide[name + ".weight"]

    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        added = attention(config, wide, name + "self_attn.", norm(x, name + "input_layernorm"))
        x = x + (norm(added, name + "post_self_attn_layernorm") if double else added)
        h = norm(x, name + "post_attention_layernorm") @ wide[name + "mlp.gate_up_proj.weight"].T
        gate, up = np.split(h, 2, axis=-1)
        added = (gate / (1 + np.exp(-gate)) * up) @ wide[name + "mlp.down_proj.weight"].T
        x = x + (norm(added, name + "post_mlp_layernorm") if double else added)
    head = "model.embed_tokens" if config["tie_word_embeddings"] else "lm_head"
    return norm(x, "model.norm") @ wide[head + ".weight"].T


def attention(config: Mapping[str, Any], wide: Weights, name: str, x: np.ndarray) -> np.ndarray:
    n, heads, groups, size = len(x), config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]

    def projected(part: str, count: int) -> np.ndarray:
        y = x @ wide[f"{name}{part}_proj.weight"].T + wide.get(f"{name}{part}_proj.bias", 0.0)
        return y.reshape(n, count, size)

    rotating = int(size * config["partial_rotary_factor"])
    angles = np.arange(n)[:, None, None] * config["rope_theta"] ** (-np.arange(0, rotating, 2) / rotating)
    q, k = rotate(projected("q", heads), angles), rotate(projected("k", groups), angles)
    k, v = (np.repeat(part, heads // groups, axis=1) for part in (k, projected("v", groups)))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
    return mixed.reshape(n, -1) @ wide[f"{name}o_proj.weight"].T


def rotate(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    size = 2 * angles.shape[-1]
    even, odd = x[..., 0:size:2], x[..., 1:size:2]
    turned = np.stack([even * np.cos(angles) - odd * np.sin(angles), odd * np.cos(angles) + even * np.sin(angles)], -1)
    return np.concatenate([turned.reshape(*x.shape[:-1], size), x[..., size:]], -1)
