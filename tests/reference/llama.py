"""LLaMA's forward pass in plain NumPy, float64, one readable function a step; other families replace some of the steps.

Source: Touvron et al. 2023 (LLaMA), Su et al. 2021 (rotary positions), Zhang and Sennrich 2019 (RMSNorm), Shazeer 2020 (SwiGLU),
Ainslie et al. 2023 (grouped queries), Jiang et al. 2023 (Mistral's sliding window), the Qwen team 2025 (Qwen3's norms of queries
and keys). Weights carry Hugging Face's names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.rotary import rotary_frequencies, vector_length

Weights = Mapping[str, np.ndarray]
Part = Callable[[Mapping[str, Any], Weights, str, np.ndarray], np.ndarray]
"""(configuration, weights, their prefix, input [n, hidden]) -> what the part adds."""


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    return decoder(config, weights, ids, feed_forward=swiglu)


def decoder(
    config: Mapping[str, Any],
    weights: Weights,
    ids: Sequence[int],
    *,
    feed_forward: Part,
    attention: Part | None = None,
    residual: float = 1.0,
    embedding: float = 1.0,
) -> np.ndarray:
    """Return the logits at every position; `residual` and `embedding` are MiniCPM's multipliers, `attention` another one."""
    attention = attention or rotary_attention
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    x = embedding * get("model.embed_tokens.weight")[np.asarray(ids)]
    eps = config["rms_norm_eps"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        h = rms_norm(x, get(prefix + "input_layernorm.weight"), eps)
        x = x + residual * attention(config, weights, prefix + "self_attn.", h)
        h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), eps)
        x = x + residual * feed_forward(config, weights, prefix + "mlp.", h)
    x = rms_norm(x, get("model.norm.weight"), eps)
    head = "model.embed_tokens.weight" if config.get("tie_word_embeddings") else "lm_head.weight"
    return x @ get(head).T


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    y = x @ weights[name + ".weight"].astype(np.float64).T
    return y + weights[name + ".bias"].astype(np.float64) if name + ".bias" in weights else y


def rotary_attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    n, heads = len(x), config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    q = linear(weights, prefix + "q_proj", x).reshape(n, heads, -1)
    k = linear(weights, prefix + "k_proj", x).reshape(n, kv_heads, -1)
    v = linear(weights, prefix + "v_proj", x).reshape(n, kv_heads, -1)
    if prefix + "q_norm.weight" in weights:
        q = rms_norm(q, weights[prefix + "q_norm.weight"].astype(np.float64), config["rms_norm_eps"])
        k = rms_norm(k, weights[prefix + "k_norm.weight"].astype(np.float64), config["rms_norm_eps"])
    frequencies, length = rotary_frequencies(config, n), vector_length(config)
    q, k = length * rotate(q, frequencies), length * rotate(k, frequencies)
    return linear(weights, prefix + "o_proj", attend(q, k, v, window=config.get("sliding_window") or n))


def rotate(x: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Rotate [n, heads, size] by position; the two halves of a head pair up (Hugging Face's layout)."""
    angles = np.arange(len(x))[:, None, None] * frequencies
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)], axis=-1
    )


def attend(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, *, window: int = 0, bias: np.ndarray | None = None
) -> np.ndarray:
    """Return causal attention [n, heads * size] of [n, heads, size]; `window` tokens are seen, the current one included.

    `bias` [heads, n, n] is added to the scores.
    """
    n, heads, size = q.shape
    k, v = (np.repeat(part, heads // part.shape[1], axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
    scores = scores if bias is None else scores + bias
    distance = np.arange(n)[:, None] - np.arange(n)
    scores = np.where((distance >= 0) & (distance < (window or n)), scores, -np.inf)
    return np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(n, -1)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def swiglu(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    gate = linear(weights, prefix + "gate_proj", x)
    return linear(weights, prefix + "down_proj", silu(gate) * linear(weights, prefix + "up_proj", x))


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))
