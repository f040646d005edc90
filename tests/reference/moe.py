"""Mixtures of experts in plain NumPy, float64: each token goes through its best experts, weighed by the router.

Sources: Jiang et al. 2024 (Mixtral), the Qwen team 2024 (Qwen1.5-MoE: a shared expert behind a sigmoid) and 2025 (Qwen3); names
and the order of softmax and choice as in transformers' modeling files of the three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, decoder, silu, softmax, swiglu


def forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position of a Qwen mixture: [len(ids), vocabulary]."""
    return decoder(config, weights, ids, feed_forward=qwen_experts)


def mixtral_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position of Mixtral: [len(ids), vocabulary]."""
    return decoder(config, weights, ids, feed_forward=mixtral_experts)


def qwen_experts(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    if prefix + "gate.weight" not in weights:  # a layer that is left dense
        return swiglu(config, weights, prefix, x)
    out = mixture(config, weights, prefix, x, ("gate_proj", "up_proj", "down_proj"), bool(config["norm_topk_prob"]))
    if prefix + "shared_expert_gate.weight" in weights:
        gate = x @ weights[prefix + "shared_expert_gate.weight"].astype(np.float64).T
        out += swiglu(config, weights, prefix + "shared_expert.", x) / (1 + np.exp(-gate))
    return out


def mixtral_experts(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    prefix = prefix.replace("mlp.", "block_sparse_moe.")
    return mixture(config, weights, prefix, x, ("w1", "w3", "w2"), normalised=True)


def mixture(
    config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray, names: Sequence[str], normalised: bool
) -> np.ndarray:
    chances = softmax(x @ weights[prefix + "gate.weight"].astype(np.float64).T)
    out = np.zeros_like(x)
    for token, chance in enumerate(chances):
        best = np.argsort(-chance)[: config["num_experts_per_tok"]]
        shares = chance[best] / chance[best].sum() if normalised else chance[best]
        for expert, share in zip(best, shares, strict=True):
            gate, up, down = (weights[f"{prefix}experts.{expert}.{name}.weight"].astype(np.float64) for name in names)
            out[token] += share * (down @ (silu(gate @ x[token]) * (up @ x[token])))
    return out
