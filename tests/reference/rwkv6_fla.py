"""RWKV-6 from fla's own tensors, in NumPy, float64: all tokens at once but for the recurrence.

Source: fla-org/flash-linear-attention, fla/layers/rwkv6.py and fla/models/rwkv6/modeling_rwkv6.py; the epsilon of the group norm
is the one of the publisher's training (64e-5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def forward(tensors: Mapping[str, np.ndarray], ids: Sequence[int]) -> np.ndarray:
    """Return logits [len(ids), rows]."""
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    hidden, heads = w["model.embeddings.weight"].shape[1], w["model.layers.0.attn.bonus"].shape[0]

    def norm(x: np.ndarray, name: str, groups: int = 1, epsilon: float = 1e-5) -> np.ndarray:
        parts = x.reshape(len(x), groups, -1)
        parts = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + epsilon)
        return parts.reshape(x.shape) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def attention(x: np.ndarray, at: str) -> np.ndarray:
        delta = np.vstack([np.zeros(hidden), x[:-1]]) - x
        z = np.tanh((x + delta * w[f"{at}x_proj.0.mu"]) @ w[f"{at}x_proj.0.linear.weight"].T).reshape(len(x), 5, -1)
        mixes = np.einsum("tnr,hnr->tnh", z, w[f"{at}x_proj.2.weight"].reshape(hidden, 5, -1)) + w[f"{at}x_bias"]
        r, d, k, v, g = (x + delta * mixes[:, i] for i in range(5))
        lora = f"{at}w_proj.linear.lora."
        d = np.tanh(d @ w[f"{lora}0.weight"].T) @ w[f"{lora}2.weight"].T + w[f"{lora}2.bias"]
        r, k, v, g = (y @ w[f"{at}{n}_proj.linear.weight"].T for y, n in ((r, "r"), (k, "k"), (v, "v"), (g, "g")))
        r, k, v, d = (y.reshape(len(x), heads, -1) for y in (r, k, v, np.exp(-np.exp(d))))
        state, out = np.zeros((heads, hidden // heads, hidden // heads)), []
        for t in range(len(x)):
            new = k[t, :, :, None] * v[t, :, None]
            out.append(np.einsum("hk,hkv->hv", r[t], state + w[f"{at}bonus"][:, :, None] * new).ravel())
            state = state * d[t, :, :, None] + new
        return (norm(np.stack(out), f"{at}g_norm", heads, 64e-5) * g / (1 + np.exp(-g))) @ w[f"{at}o_proj.weight"].T

    def feed_forward(x: np.ndarray, at: str) -> np.ndarray:
        delta = np.vstack([np.zeros(hidden), x[:-1]]) - x
        key, gate = ((x + delta * w[f"{at}{n}.mu"]) @ w[f"{at}{n}.linear.weight"].T for n in ("key", "receptance"))
        return np.maximum(key, 0) ** 2 @ w[f"{at}value.weight"].T / (1 + np.exp(-gate))

    x = norm(w["model.embeddings.weight"][list(ids)], "model.layers.0.pre_norm")
    for layer in range(2):
        x = x + attention(norm(x, f"model.layers.{layer}.attn_norm"), f"model.layers.{layer}.attn.")
        x = x + feed_forward(norm(x, f"model.layers.{layer}.ffn_norm"), f"model.layers.{layer}.ffn.")
    return norm(x, "model.norm") @ w["lm_head.weight"].T
