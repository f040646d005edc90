"""Gemma 2 and Gemma 3 in plain NumPy, float64.

Sources: Gemma Team 2024 and 2025; transformers, models/gemma2/modeling_gemma2.py and models/gemma3/modeling_gemma3.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, linear, rms_norm, rotate, softmax
from tests.reference.relatives import heads_of


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    embedding = weights["model.embed_tokens.weight"].astype(np.float64)
    return capped(hidden_states(config, weights, ids) @ embedding.T, config.get("final_logit_softcapping"))


def hidden_states(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the last layer's output behind its norm: [len(ids), hidden]."""
    eps = config["rms_norm_eps"]

    def norm(value: np.ndarray, name: str) -> np.ndarray:
        return rms_norm(value, 1 + weights[name + ".weight"].astype(np.float64), eps)

    embedding = weights["model.embed_tokens.weight"].astype(np.float64)
    x = embedding[np.asarray(ids)] * math.sqrt(config["hidden_size"])
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        sliding = (layer + 1) % config["sliding_window_pattern"] != 0
        added = attention(config, weights, prefix + "self_attn.", norm(x, prefix + "input_layernorm"), sliding, norm)
        x = x + norm(added, prefix + "post_attention_layernorm")
        h = norm(x, prefix + "pre_feedforward_layernorm")
        gated = gelu(linear(weights, prefix + "mlp.gate_proj", h)) * linear(weights, prefix + "mlp.up_proj", h)
        x = x + norm(linear(weights, prefix + "mlp.down_proj", gated), prefix + "post_feedforward_layernorm")
    return norm(x, "model.norm")


def attention(
    config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray, sliding: bool, norm: Any
) -> np.ndarray:
    n, size = len(x), config["head_dim"]
    q, k, v = heads_of(config, weights, prefix, x)
    if prefix + "q_norm.weight" in weights:
        q, k = norm(q, prefix + "q_norm"), norm(k, prefix + "k_norm")
    base = config.get("rope_local_base_freq", config["rope_theta"]) if sliding else config["rope_theta"]
    frequencies = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    scaling = config.get("rope_scaling")
    if scaling and not sliding:
        frequencies = frequencies / scaling["factor"]
    q, k = rotate(q, frequencies), rotate(k, frequencies)
    k, v = (np.repeat(part, q.shape[1] // part.shape[1], axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(config["query_pre_attn_scalar"])
    scores = capped(scores, config.get("attn_logit_softcapping"))
    distance = np.arange(n)[:, None] - np.arange(n)
    if config.get("use_bidirectional_attention"):
        seen = np.abs(distance) <= (config["sliding_window"] // 2 if sliding else n)
    else:
        seen = (distance >= 0) & (distance < (config["sliding_window"] if sliding else n))
    scores = np.where(seen, scores, -np.inf)
    return linear(weights, prefix + "o_proj", np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, -1))


def capped(x: np.ndarray, most: float | None) -> np.ndarray:
    return most * np.tanh(x / most) if most else x


def gelu(x: np.ndarray) -> np.ndarray:
    """GELU by its approximation with tanh (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
