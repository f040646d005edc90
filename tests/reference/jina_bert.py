"""JinaBERT in plain NumPy, float64, as jina-bert-implementation and jina-bert-v2-qk-post-norm compute it.

Sources: Günther et al. 2023 (Jina Embeddings 2), Press et al. 2021 (ALiBi; the slopes of heads whose number is no power of two
are those of the next lower power, and every other one of the next higher). Weights carry Hugging Face's names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.bert import gelu, layer_norm
from tests.reference.llama import Weights, linear, softmax


def slopes(heads: int) -> list[float]:
    """Return each head's slope."""
    if math.log2(heads).is_integer():
        return [2 ** (-8 * (head + 1) / heads) for head in range(heads)]
    lower = 2 ** math.floor(math.log2(heads))
    return slopes(lower) + slopes(2 * lower)[0::2][: heads - lower]


def hidden_states(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the last layer's output: [len(ids), hidden]."""
    eps, inner = config["layer_norm_eps"], config["intermediate_size"]
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    x = get("embeddings.word_embeddings.weight")[np.asarray(ids)] + get("embeddings.token_type_embeddings.weight")[0]
    x = layer_norm(weights, "embeddings.LayerNorm", x, eps)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        added = attention(config, weights, f"{prefix}attention.", x)
        attended = layer_norm(weights, f"{prefix}attention.output.LayerNorm", x + added, eps)
        if f"{prefix}mlp.up_gated_layer.weight" in weights:
            attended = layer_norm(weights, f"{prefix}layer_norm_1", x + attended, eps)
            up, gate = np.split(linear(weights, f"{prefix}mlp.up_gated_layer", attended), [inner], -1)
            down = linear(weights, f"{prefix}mlp.down_layer", up * gelu(gate))
            x = layer_norm(weights, f"{prefix}layer_norm_2", attended + down, eps)
        else:
            gate, up = np.split(linear(weights, f"{prefix}mlp.gated_layers", attended), [inner], -1)
            down = linear(weights, f"{prefix}mlp.wo", gelu(gate) * up)
            x = layer_norm(weights, f"{prefix}mlp.layernorm", attended + down, eps)
    return x


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    heads, places = config["num_attention_heads"], np.arange(len(x))
    parts = {}
    for part in ("query", "key", "value"):
        parts[part] = linear(weights, f"{prefix}self.{part}", x)
        norm = f"{prefix}self.layer_norm_{part[0]}"
        if f"{norm}.weight" in weights:
            parts[part] = layer_norm(weights, norm, parts[part], config["layer_norm_eps"])
    q, k, v = (value.reshape(len(x), heads, -1) for value in parts.values())
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    scores -= np.array(slopes(heads))[:, None, None] * np.abs(places[:, None] - places[None])
    return linear(weights, f"{prefix}output.dense", np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(len(x), -1))
