"""Qwen3.5 in plain NumPy, float64, token by token.

Sources: Yang et al. 2024 (gated delta networks); transformers, models/qwen3_5/modeling_qwen3_5.py: a short causal convolution
over queries, keys and values, keys and queries of length 1, attention with a gate on what it gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, attend, linear, rms_norm, rotate, silu, swiglu
from tests.reference.moe import qwen_experts


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    eps = config["rms_norm_eps"]

    def norm(value: np.ndarray, name: str) -> np.ndarray:
        return rms_norm(value, 1 + weights[name + ".weight"].astype(np.float64), eps)

    x = weights["model.embed_tokens.weight"].astype(np.float64)[np.asarray(ids)]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        h = norm(x, prefix + "input_layernorm")
        if config["layer_types"][layer] == "linear_attention":
            x = x + delta_rule(config, weights, prefix + "linear_attn.", h)
        else:
            x = x + attention(config, weights, prefix + "self_attn.", h, norm)
        mlp = mixture if prefix + "mlp.gate.weight" in weights else swiglu
        x = x + mlp(config, weights, prefix + "mlp.", norm(x, prefix + "post_attention_layernorm"))
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return norm(x, "model.norm") @ weights[head].astype(np.float64).T


def mixture(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    """Send each token through its best experts; those of a layer may lie in two tensors, gate above up in the first."""
    packed = weights.get(prefix + "experts.gate_up_proj")
    if packed is not None:
        single = {
            f"{prefix}experts.{n}.down_proj.weight": m for n, m in enumerate(weights[prefix + "experts.down_proj"])
        }
        for number, both in enumerate(packed):
            for name, part in zip(("gate", "up"), np.split(both, 2), strict=True):
                single[f"{prefix}experts.{number}.{name}_proj.weight"] = part
        weights = {**weights, **single}
    return qwen_experts({**config, "norm_topk_prob": True}, weights, prefix, x)


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray, norm: Any) -> np.ndarray:
    n, size = len(x), config["head_dim"]
    both = linear(weights, prefix + "q_proj", x).reshape(n, -1, 2 * size)
    q, gate = both[..., :size], both[..., size:].reshape(n, -1)
    k, v = (linear(weights, f"{prefix}{part}_proj", x).reshape(n, -1, size) for part in "kv")
    q, k = norm(q, prefix + "q_norm"), norm(k, prefix + "k_norm")
    rotary_dim = int(size * config["rope_parameters"]["partial_rotary_factor"])
    frequencies = config["rope_parameters"]["rope_theta"] ** (
        -np.arange(0, rotary_dim, 2, dtype=np.float64) / rotary_dim
    )
    q, k = (np.concatenate([rotate(p[..., :rotary_dim], frequencies), p[..., rotary_dim:]], axis=-1) for p in (q, k))
    return linear(weights, prefix + "o_proj", attend(q, k, v) / (1 + np.exp(-gate)))


def delta_rule(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    n, size = len(x), config["linear_key_head_dim"]
    keys, values = config["linear_num_key_heads"], config["linear_num_value_heads"]
    get = lambda name: weights[prefix + name].astype(np.float64)  # noqa: E731
    mixed = silu(convolved(linear(weights, prefix + "in_proj_qkv", x), get("conv1d.weight")[:, 0]))
    q, k, v = np.split(mixed, [keys * size, 2 * keys * size], axis=-1)
    q, k = (np.repeat(unit(part.reshape(n, keys, size)), values // keys, axis=1) for part in (q, k))
    v = v.reshape(n, values, size)
    beta = 1 / (1 + np.exp(-linear(weights, prefix + "in_proj_b", x)))
    decay = np.exp(-np.exp(get("A_log")) * np.log1p(np.exp(linear(weights, prefix + "in_proj_a", x) + get("dt_bias"))))
    state, out = np.zeros((values, size, size)), np.empty((n, values, size))
    for t in range(n):
        state *= decay[t][:, None, None]
        wrong = beta[t][:, None] * (v[t] - np.einsum("hkv,hk->hv", state, k[t]))
        state += np.einsum("hk,hv->hkv", k[t], wrong)
        out[t] = np.einsum("hkv,hk->hv", state, q[t]) / np.sqrt(size)
    gate = silu(linear(weights, prefix + "in_proj_z", x)).reshape(n, values, size)
    normed = rms_norm(out, get("norm.weight"), config["rms_norm_eps"]) * gate
    return linear(weights, prefix + "out_proj", normed.reshape(n, -1))


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return each channel of [n, channels] convolved with its kernel [channels, width], zeros before the beginning."""
    width = kernel.shape[1]
    padded = np.concatenate([np.zeros((width - 1, x.shape[1])), x])
    return sum((padded[i : i + len(x)] * kernel[:, i] for i in range(width)), np.zeros_like(x))


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)
