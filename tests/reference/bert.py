"""BERT and XLM-RoBERTa in plain NumPy, float64.

Sources: Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa: positions count from behind the padding token), Hendrycks and
Gimpel 2016 (GELU). Weights carry Hugging Face's names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.llama import Weights, linear, softmax

_ERF = np.vectorize(math.erf)


def hidden_states(
    config: Mapping[str, Any], weights: Weights, ids: Sequence[int], first_position: int = 0
) -> np.ndarray:
    """Return the last layer's output: [len(ids), hidden]."""
    eps = config["layer_norm_eps"]
    get = lambda name: weights[name].astype(np.float64)  # noqa: E731
    x = get("embeddings.word_embeddings.weight")[np.asarray(ids)]
    x = x + get("embeddings.position_embeddings.weight")[first_position : first_position + len(ids)]
    x = layer_norm(weights, "embeddings.LayerNorm", x + get("embeddings.token_type_embeddings.weight")[0], eps)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        added = attention(config, weights, prefix + "attention.", x)
        x = layer_norm(weights, prefix + "attention.output.LayerNorm", x + added, eps)
        inner = gelu(linear(weights, prefix + "intermediate.dense", x))
        x = layer_norm(weights, prefix + "output.LayerNorm", x + linear(weights, prefix + "output.dense", inner), eps)
    return x


def attention(config: Mapping[str, Any], weights: Weights, prefix: str, x: np.ndarray) -> np.ndarray:
    heads = config["num_attention_heads"]
    q, k, v = (
        linear(weights, f"{prefix}self.{part}", x).reshape(len(x), heads, -1) for part in ("query", "key", "value")
    )
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    return linear(weights, f"{prefix}output.dense", np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(len(x), -1))


def layer_norm(weights: Weights, name: str, x: np.ndarray, eps: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return scaled * weights[name + ".weight"].astype(np.float64) + weights[name + ".bias"].astype(np.float64)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + _ERF(x / math.sqrt(2)))


def relevance(weights: Weights, states: np.ndarray) -> float:
    """Return the score of a pair of texts (transformers, XLMRobertaClassificationHead), through the logistic function."""
    head = np.tanh(linear(weights, "classifier.dense", states[0]))
    return float(1 / (1 + np.exp(-linear(weights, "classifier.out_proj", head)[0])))
