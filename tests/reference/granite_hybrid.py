"""Granite 4 in plain NumPy, float64, token by token.

Sources: Dao and Gu 2024 (Mamba-2, section 2); transformers, models/granitemoehybrid/modeling_granitemoehybrid.py:
a short causal convolution, one decay a head, a gate before the norm; experts weighed by the softmax of the chosen ones' scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, attend, linear, rms_norm, rotate, silu, softmax
from tests.reference.qwen35 import convolved
from tests.reference.relatives import heads_of
from tests.reference.rotary import rotary_frequencies


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    eps, residual = config["rms_norm_eps"], config["residual_multiplier"]
    x = config["embedding_multiplier"] * get("model.embed_tokens.weight")[np.asarray(ids)]
    for layer, kind in enumerate(config["layer_types"]):
        prefix = f"model.layers.{layer}."
        h = rms_norm(x, get(prefix + "input_layernorm.weight"), eps)
        mixed = (
            mamba(config, weights, prefix + "mamba.", h) if kind == "mamba" else attention(config, weights, prefix, h)
        )
        x = x + residual * mixed
        h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), eps)
        added = gated(
            weights[prefix + "shared_mlp.input_linear.weight"], weights[prefix + "shared_mlp.output_linear.weight"], h
        )
        if config["num_local_experts"]:
            added = added + mixture(config, weights, prefix + "block_sparse_moe.", h)
        x = x + residual * added
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return rms_norm(x, get("model.norm.weight"), eps) @ get(head).T / config["logits_scaling"]


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    q, k, v = heads_of(config, weights, prefix + "self_attn.", x)
    if config["position_embedding_type"] == "rope":
        frequencies = rotary_frequencies(config, len(x))
        q, k = rotate(q, frequencies), rotate(k, frequencies)
    q = q * config["attention_multiplier"] * math.sqrt(q.shape[-1])
    return linear(weights, prefix + "self_attn.o_proj", attend(q, k, v))


def gated(both: np.ndarray, down: np.ndarray, x: np.ndarray) -> np.ndarray:
    gate, up = np.split(x @ both.astype(np.float64).T, 2, axis=-1)
    return silu(gate) * up @ down.astype(np.float64).T


def mixture(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    for token, scores in enumerate(linear(weights, prefix + "router.layer", x)):
        best = np.argsort(-scores)[: config["num_experts_per_tok"]]
        for expert, share in zip(best, softmax(scores[best]), strict=True):
            both, down = (weights[f"{prefix}{part}_linear.weight"][expert] for part in ("input", "output"))
            out[token] += share * gated(both, down, x[token])
    return out


def mamba(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    n, heads, groups, size = len(x), config["mamba_n_heads"], config["mamba_n_groups"], config["mamba_d_state"]
    get = lambda name: weights[prefix + name].astype(np.float64)  # noqa: E731
    inner = 2 * x.shape[1]
    gate, mixed, step = np.split(
        linear(weights, prefix + "in_proj", x), [inner, 2 * inner + 2 * groups * size], axis=-1
    )
    mixed = silu(convolved(mixed, get("conv1d.weight")[:, 0]) + get("conv1d.bias"))
    values, b, c = np.split(mixed, [inner, inner + groups * size], axis=-1)
    values = values.reshape(n, heads, -1)
    b, c = (np.repeat(part.reshape(n, groups, size), heads // groups, axis=1) for part in (b, c))
    step = np.log1p(np.exp(step + get("dt_bias")))
    decay = np.exp(-np.exp(get("A_log")) * step)
    state, out = np.zeros((heads, values.shape[-1], size)), np.empty_like(values)
    for t in range(n):
        state = decay[t][:, None, None] * state + np.einsum("h,hv,hs->hvs", step[t], values[t], b[t])
        out[t] = np.einsum("hvs,hs->hv", state, c[t]) + get("D")[:, None] * values[t]
    gated_out = (out.reshape(n, -1) * silu(gate)).reshape(n, groups, -1)
    normed = rms_norm(gated_out, get("norm.weight").reshape(groups, -1), config["rms_norm_eps"])
    return linear(weights, prefix + "out_proj", normed.reshape(n, -1))
