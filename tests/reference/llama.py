"""LLaMA's forward pass in plain NumPy, float64, one readable function a step.

Source: Touvron et al. 2023 (LLaMA), Su et al. 2021 (rotary positions), Zhang and Sennrich 2019 (RMSNorm), Shazeer 2020 (SwiGLU),
Ainslie et al. 2023 (grouped queries). Weights carry Hugging Face's names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Weights = Mapping[str, np.ndarray]


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    x = get("model.embed_tokens.weight")[np.asarray(ids)]
    eps = config["rms_norm_eps"]
    frequencies = rotary_frequencies(config)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        h = rms_norm(x, get(prefix + "input_layernorm.weight"), eps)
        x = x + attention(config, weights, prefix + "self_attn.", h, frequencies)
        h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), eps)
        x = x + swiglu(weights, prefix + "mlp.", h)
    x = rms_norm(x, get("model.norm.weight"), eps)
    head = "model.embed_tokens.weight" if config.get("tie_word_embeddings") else "lm_head.weight"
    return x @ get(head).T


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    y = x @ weights[name + ".weight"].astype(np.float64).T
    return y + weights[name + ".bias"].astype(np.float64) if name + ".bias" in weights else y


def rotary_frequencies(config: Mapping[str, Any]) -> np.ndarray:
    """Return the angle per position of each pair of dimensions: [head_dim / 2]."""
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    frequencies = config.get("rope_theta", 10000.0) ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":
        return frequencies / scaling["factor"]
    if kind == "llama3":
        return np.array([llama3_frequency(f, scaling) for f in frequencies])
    return frequencies


def llama3_frequency(frequency: float, scaling: Mapping[str, Any]) -> float:
    """Llama 3.1's rule: long waves are stretched by the factor, short ones kept, those between blended."""
    wavelength = 2 * math.pi / frequency
    low = scaling["original_max_position_embeddings"] / scaling["low_freq_factor"]
    high = scaling["original_max_position_embeddings"] / scaling["high_freq_factor"]
    if wavelength < high:
        return frequency
    if wavelength > low:
        return frequency / scaling["factor"]
    smooth = (scaling["original_max_position_embeddings"] / wavelength - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency


def rotate(x: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Rotate [n, heads, size] by position; the two halves of a head pair up (Hugging Face's layout)."""
    angles = np.arange(len(x))[:, None, None] * frequencies
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)], axis=-1
    )


def attention(
    config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    n, heads = len(x), config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    q = rotate(linear(weights, prefix + "q_proj", x).reshape(n, heads, -1), frequencies)
    k = rotate(linear(weights, prefix + "k_proj", x).reshape(n, kv_heads, -1), frequencies)
    v = linear(weights, prefix + "v_proj", x).reshape(n, kv_heads, -1)
    k, v = (np.repeat(part, heads // kv_heads, axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    mixed = np.einsum("hqk,khd->qhd", softmax(scores), v)
    return linear(weights, prefix + "o_proj", mixed.reshape(n, -1))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def swiglu(weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    gate = linear(weights, prefix + "gate_proj", x)
    return linear(weights, prefix + "down_proj", gate / (1 + np.exp(-gate)) * linear(weights, prefix + "up_proj", x))
