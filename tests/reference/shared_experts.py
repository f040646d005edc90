"""GLM-4.5 and DeepSeekMoE in plain NumPy, float64.

Sources: transformers, models/glm4_moe/modeling_glm4_moe.py; Dai et al. 2024 (DeepSeekMoE) and the publisher's
modeling_deepseek.py of deepseek-moe-16b, whose attention is LLaMA's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.latent import mixture
from tests.reference.llama import Weights, attend, decoder, linear, rms_norm, rotate, swiglu
from tests.reference.relatives import heads_of
from tests.reference.rotary import rotary_frequencies


def glm4_moe_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]; the first part of each head rotates."""
    rotary_dim = int(config["head_dim"] * config["partial_rotary_factor"])
    frequencies = rotary_frequencies({**config, "head_dim": rotary_dim}, len(ids))

    def turned(x: np.ndarray) -> np.ndarray:
        return np.concatenate([rotate(x[..., :rotary_dim], frequencies), x[..., rotary_dim:]], axis=-1)

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        q, k, v = heads_of(config, weights, prefix, x)
        if config["use_qk_norm"]:
            q = rms_norm(q, weights[prefix + "q_norm.weight"].astype(np.float64), config["rms_norm_eps"])
            k = rms_norm(k, weights[prefix + "k_norm.weight"].astype(np.float64), config["rms_norm_eps"])
        return linear(weights, prefix + "o_proj", attend(turned(q), turned(k), v))

    return decoder(config, weights, ids, feed_forward=feed_forward, attention=attention)


def deepseek_moe_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    return decoder({"routed_scaling_factor": 1.0, **config}, weights, ids, feed_forward=feed_forward)


def feed_forward(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    return (mixture if prefix + "gate.weight" in weights else swiglu)(config, weights, prefix, x)
