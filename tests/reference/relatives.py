"""LLaMA's near relatives in plain NumPy, float64: what each does otherwise, in the words of its modeling file in transformers.

Sources: models/hunyuan_v1_dense, models/phi3, models/ernie4_5, models/granite and models/smollm3 of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference import llama
from tests.reference.llama import Weights, attend, decoder, linear, rms_norm, rotate, swiglu
from tests.reference.rotary import rotary_frequencies, vector_length


def hunyuan_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Queries and keys are normed after they are rotated; `alpha` makes the base larger."""
    size = config["head_dim"]
    base = config["rope_theta"] * config["rope_scaling"]["alpha"] ** (size / (size - 2))
    frequencies = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        q, k, v = heads_of(config, weights, prefix, x)
        q, k = rotate(q, frequencies), rotate(k, frequencies)
        q = rms_norm(q, weights[prefix + "query_layernorm.weight"].astype(np.float64), config["rms_norm_eps"])
        k = rms_norm(k, weights[prefix + "key_layernorm.weight"].astype(np.float64), config["rms_norm_eps"])
        return linear(weights, prefix + "o_proj", attend(q, k, v))

    return decoder(config, weights, ids, feed_forward=swiglu, attention=attention)


def smollm3_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Every fourth layer knows no positions."""

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        if (int(prefix.split(".")[2]) + 1) % 4:
            return llama.rotary_attention(config, weights, prefix, x)
        return linear(weights, prefix + "o_proj", attend(*heads_of(config, weights, prefix, x)))

    return decoder(config, weights, ids, feed_forward=swiglu, attention=attention)


def phi3_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Projections are packed, and the first part of each head rotates."""
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads
    rotary_dim = int(size * config.get("partial_rotary_factor", 1.0))
    said = {**config, "head_dim": rotary_dim}
    frequencies, length = rotary_frequencies(said, len(ids)), vector_length(config)

    def turned(x: np.ndarray) -> np.ndarray:
        return np.concatenate([length * rotate(x[..., :rotary_dim], frequencies), x[..., rotary_dim:]], axis=-1)

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        packed = linear(weights, prefix + "qkv_proj", x).reshape(len(x), -1, size)
        q, k, v = np.split(packed, [heads, heads + keys], axis=1)
        return linear(weights, prefix + "o_proj", attend(turned(q), turned(k), v))

    def feed_forward(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        gate, up = np.split(linear(weights, prefix + "gate_up_proj", x), 2, axis=-1)
        return linear(weights, prefix + "down_proj", llama.silu(gate) * up)

    return decoder(config, weights, ids, feed_forward=feed_forward, attention=attention)


def ernie_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Neighbouring elements rotate together; scores do not see in which order a head's elements stand."""

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        q, k, v = heads_of(config, weights, prefix, x)
        q, k = (np.concatenate([part[..., ::2], part[..., 1::2]], axis=-1) for part in (q, k))
        frequencies = rotary_frequencies(config, len(x))
        return linear(weights, prefix + "o_proj", attend(rotate(q, frequencies), rotate(k, frequencies), v))

    return decoder(config, weights, ids, feed_forward=swiglu, attention=attention)


def granite_forward(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Embeddings, what layers add, scores and logits have a multiplier each."""

    def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
        q, k, v = heads_of(config, weights, prefix, x)
        frequencies = rotary_frequencies(config, len(x))
        q = q * config["attention_multiplier"] * math.sqrt(q.shape[-1])
        return linear(weights, prefix + "o_proj", attend(rotate(q, frequencies), rotate(k, frequencies), v))

    logits = decoder(
        config,
        weights,
        ids,
        feed_forward=swiglu,
        attention=attention,
        residual=config["residual_multiplier"],
        embedding=config["embedding_multiplier"],
    )
    return logits / config["logits_scaling"]


def heads_of(
    config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries, keys and values: [n, heads, size]."""
    counts = config["num_attention_heads"], config["num_key_value_heads"], config["num_key_value_heads"]
    q, k, v = (
        linear(weights, f"{prefix}{part}_proj", x).reshape(len(x), count, -1)
        for part, count in zip("qkv", counts, strict=True)
    )
    return q, k, v
