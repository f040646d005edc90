"""gpt-oss in plain NumPy, float64: attention with sinks, a window in every second layer, clamped experts, four-bit weights.

Sources: transformers, models/gpt_oss/modeling_gpt_oss.py; Open Compute Project, Microscaling Formats (MX) 1.0, for the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, decoder, linear, rotate, softmax
from tests.reference.relatives import heads_of
from tests.reference.rotary import rotary_frequencies, vector_length

FLOATS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
"""Of 4 bits: 1 of sign, 2 of exponent, 1 of mantissa."""


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]; YaRN's bounds are rounded, as llama.cpp does."""
    return decoder(config, weights, ids, feed_forward=mixture, attention=attention)


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    n, size = len(x), config["head_dim"]
    q, k, v = heads_of(config, weights, prefix, x)
    frequencies, length = rotary_frequencies(config, n), vector_length(config)
    q, k = length * rotate(q, frequencies), length * rotate(k, frequencies)
    k, v = (np.repeat(part, q.shape[1] // part.shape[1], axis=1) for part in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
    slides = config["layer_types"][int(prefix.split(".")[2])] == "sliding_attention"
    distance = np.arange(n)[:, None] - np.arange(n)
    scores = np.where((distance >= 0) & (distance < (config["sliding_window"] if slides else n)), scores, -np.inf)
    sinks = np.broadcast_to(weights[prefix + "sinks"].astype(np.float64)[:, None, None], (*scores.shape[:2], 1))
    shares = softmax(np.concatenate([scores, sinks], axis=-1))[..., :-1]
    return linear(weights, prefix + "o_proj", np.einsum("hqk,khd->qhd", shares, v).reshape(n, -1))


def mixture(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    router = linear(weights, prefix + "router", x)
    out = np.zeros_like(x)
    both, down = (columns_first(weights, f"{prefix}experts.{name}") for name in ("gate_up_proj", "down_proj"))
    bias, last = (weights[f"{prefix}experts.{name}_proj_bias"].astype(np.float64) for name in ("gate_up", "down"))
    for token, scores in enumerate(router):
        best = np.argsort(-scores)[: config["num_experts_per_tok"]]
        for expert, share in zip(best, softmax(scores[best]), strict=True):
            packed = x[token] @ both[expert] + bias[expert]
            gate, up = np.minimum(packed[::2], 7), np.clip(packed[1::2], -7, 7)
            out[token] += share * ((gate / (1 + np.exp(-1.702 * gate)) * (up + 1)) @ down[expert] + last[expert])
    return out


def columns_first(weights: Weights, name: str) -> np.ndarray:
    """Return an expert matrix [experts, in, out] as transformers computes with it."""
    if name in weights:
        return weights[name].astype(np.float64)
    return widened(weights[name + "_blocks"], weights[name + "_scales"]).swapaxes(1, 2)


def widened(blocks: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return MXFP4 [experts, out, in / 32, 16] with its exponents [experts, out, in / 32] as float64 [experts, out, in]."""
    numbers = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*scales.shape, 32)
    values = np.where(numbers & 8, -1.0, 1.0) * FLOATS[numbers & 7]
    return (values * 2.0 ** (scales.astype(np.float64)[..., None] - 127)).reshape(*scales.shape[:2], -1)
