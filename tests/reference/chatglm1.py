"""ChatGLM-6B in NumPy, float64, from the publisher's modeling_chatglm.py (THUDM/chatglm-6b); the whole mask at once, no cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_RESIDUAL = np.sqrt(2 * 28)
"""The published code never passes the number of layers to GLMBlock, whose default is 28."""


def forward(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], ids: Sequence[int]) -> np.ndarray:
    """Return logits [len(ids), rows] of the checkpoint's tensors (Hugging Face names)."""
    w = {name.removeprefix("transformer."): value.astype(np.float64) for name, value in tensors.items()}
    ids = list(ids)
    count = len(ids)
    prefix = ids.index(config["bos_token_id"]) if config["bos_token_id"] in ids else count
    positions, blocks = np.arange(count), np.zeros(count, int)
    masks = [ids.index(config[key]) for key in ("gmask_token_id", "mask_token_id") if config[key] in ids[:prefix]]
    positions[prefix:] = masks[0] if masks else max(prefix - 1, 0)
    blocks[prefix:] = np.arange(1, count - prefix + 1)
    visible = np.tril(np.ones((count, count), bool))
    visible[:, :prefix] = True

    x = w["word_embeddings.weight"][ids]
    heads = config["num_attention_heads"]
    size = x.shape[1] // heads
    for layer in range(config["num_layers"]):
        block = f"layers.{layer}."
        h = _norm(w, f"{block}input_layernorm", x)
        packed = _linear(w, f"{block}attention.query_key_value", h).reshape(count, heads, 3 * size)
        q, k, v = packed[..., :size], packed[..., size : 2 * size], packed[..., 2 * size :]
        q, k = _rotate(q, positions, blocks), _rotate(k, positions, blocks)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
        scores = np.where(visible, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        attended = np.einsum("hqk,khd->qhd", weights, v).reshape(count, -1)
        x = _RESIDUAL * h + _linear(w, f"{block}attention.dense", attended)
        h = _norm(w, f"{block}post_attention_layernorm", x)
        x = _RESIDUAL * h + _linear(w, f"{block}mlp.dense_4h_to_h", _gelu(_linear(w, f"{block}mlp.dense_h_to_4h", h)))
    return _norm(w, "final_layernorm", x) @ w["lm_head.weight"].T


def _linear(w: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _norm(w: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * x * (1 + 0.044715 * x * x)))


def _rotate(x: np.ndarray, positions: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Rotate the two halves of each head [n, heads, size], each by its own positions."""
    halves = np.split(x, 2, axis=-1)
    return np.concatenate([_rotary(half, where) for half, where in zip(halves, (positions, blocks), strict=True)], -1)


def _rotary(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    size = x.shape[-1]
    angles = positions[:, None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    cos, sin = (np.tile(f(angles), 2)[:, None] for f in (np.cos, np.sin))
    first, second = np.split(x, 2, axis=-1)
    return x * cos + np.concatenate([-second, first], -1) * sin
