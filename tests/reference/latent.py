"""MiniCPM3 and DeepSeek-V2/V3 in plain NumPy, float64: attention through latent vectors, DeepSeek's choice of experts.

Sources: DeepSeek-AI 2024 (DeepSeek-V2, sections 2.1 and 2.2; DeepSeek-V3, section 2.1.2) and the publishers' modeling_deepseek.py
(rotating elements are neighbours; `mscale_all_dim` makes scores larger) and modeling_minicpm.py (they lie half a head apart).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference import llama
from tests.reference.llama import Weights, linear, rms_norm, rotate, silu, softmax, swiglu
from tests.reference.rotary import rotary_frequencies, scaling_of, vector_length

_LATENT_EPSILON = 1e-6


def minicpm3_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    residual = config["scale_depth"] / math.sqrt(config["num_hidden_layers"])
    logits = decoder(config, weights, ids, residual=residual, embedding=config["scale_emb"])
    return logits / (config["hidden_size"] / config["dim_model_base"])


def deepseek_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    return decoder(config, weights, ids)


def decoder(
    config: Mapping[str, Any], weights: Weights, ids: Sequence[int], *, residual: float = 1.0, embedding: float = 1.0
) -> np.ndarray:
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    eps = config["rms_norm_eps"]
    x = embedding * get("model.embed_tokens.weight")[np.asarray(ids)]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        h = rms_norm(x, get(prefix + "input_layernorm.weight"), eps)
        x = x + residual * attention(config, weights, prefix + "self_attn.", h)
        h = rms_norm(x, get(prefix + "post_attention_layernorm.weight"), eps)
        dense = layer < config.get("first_k_dense_replace", config["num_hidden_layers"])
        x = x + residual * (swiglu if dense else mixture)(config, weights, prefix + "mlp.", h)
    head = "model.embed_tokens.weight" if config.get("tie_word_embeddings") else "lm_head.weight"
    return rms_norm(x, get("model.norm.weight"), eps) @ get(head).T


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    n, heads = len(x), config["num_attention_heads"]
    still, rotary_dim = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    get = lambda name: weights[prefix + name].astype(np.float64)  # noqa: E731
    if config.get("q_lora_rank"):
        narrow = rms_norm(linear(weights, prefix + "q_a_proj", x), get("q_a_layernorm.weight"), _LATENT_EPSILON)
        q = linear(weights, prefix + "q_b_proj", narrow).reshape(n, heads, -1)
    else:
        q = linear(weights, prefix + "q_proj", x).reshape(n, heads, -1)
    packed = linear(weights, prefix + "kv_a_proj_with_mqa", x)
    narrow = rms_norm(packed[:, :-rotary_dim], get("kv_a_layernorm.weight"), _LATENT_EPSILON)
    both = linear(weights, prefix + "kv_b_proj", narrow).reshape(n, heads, -1)
    frequencies = rotary_frequencies({**config, "head_dim": rotary_dim}, n)
    turned_q = turn(config, q[..., still:], frequencies)
    rotated_k = np.repeat(turn(config, packed[:, None, -rotary_dim:], frequencies), heads, axis=1)
    q = np.concatenate([q[..., :still], turned_q], axis=-1) * score_scale(config)
    k = np.concatenate([both[..., :still], rotated_k], axis=-1)
    return linear(weights, prefix + "o_proj", llama.attend(q, k, both[..., still:]))


def turn(config: Mapping[str, Any], x: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Rotate [n, heads, size]: halves in MiniCPM3; neighbours in DeepSeek, which only orders the result otherwise."""
    if "scale_emb" in config:
        return vector_length(config) * rotate(x, frequencies)
    return rotate(np.concatenate([x[..., ::2], x[..., 1::2]], axis=-1), frequencies)


def score_scale(config: Mapping[str, Any]) -> float:
    scaling = scaling_of(config)
    weight = scaling.get("mscale_all_dim", 0)
    return (0.1 * weight * math.log(scaling["factor"]) + 1) ** 2 if weight else 1.0


def mixture(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    """Add the shared expert to each token's chosen ones."""
    out = swiglu(config, weights, prefix + "shared_experts.", x)
    router = x @ weights[prefix + "gate.weight"].astype(np.float64).T
    for token, scores in enumerate(router):
        best, shares = choose(config, weights, prefix, scores)
        for expert, share in zip(best, shares * config["routed_scaling_factor"], strict=True):
            name = f"{prefix}experts.{expert}."
            gate, up, down = (
                weights[f"{name}{part}_proj.weight"].astype(np.float64) for part in ("gate", "up", "down")
            )
            out[token] += share * (down @ (silu(gate @ x[token]) * (up @ x[token])))
    return out


def choose(
    config: Mapping[str, Any], weights: Weights, prefix: str, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chosen experts and their shares; a bias and the best groups count for the choice alone (DeepSeek-V3)."""
    used = config["num_experts_per_tok"]
    if config["scoring_func"] == "softmax":
        chances = chosen_by = softmax(scores)
    else:
        chances = 1 / (1 + np.exp(-scores))
        chosen_by = chances + weights[prefix + "gate.e_score_correction_bias"].astype(np.float64)
        groups = chosen_by.reshape(config["n_group"], -1)
        weakest = np.argsort(-np.sort(groups, axis=-1)[:, -2:].sum(-1))[config["topk_group"] :]
        groups[weakest] = -np.inf
    best = np.argsort(-chosen_by)[:used]
    return best, chances[best] / chances[best].sum() if config["norm_topk_prob"] else chances[best]
