"""Adapters on weights, in float64: LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023), DoRA (Liu et al. 2024, formula 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np


def scaling(alpha: float, rank: int, *, rslora: bool = False) -> float:
    return alpha / math.sqrt(rank) if rslora else alpha / rank


def merged(
    weight: np.ndarray, a: np.ndarray, b: np.ndarray, scale: float, magnitude: np.ndarray | None = None
) -> np.ndarray:
    """Return W [out, in] with B [out, r] and A [r, in] on it; `magnitude` [out] makes it a DoRA."""
    result = weight.astype(np.float64) + scale * (b.astype(np.float64) @ a.astype(np.float64))
    if magnitude is not None:
        result = magnitude.astype(np.float64)[:, None] * result / np.linalg.norm(result, axis=1, keepdims=True)
    return result


def merged_embeddings(weight: np.ndarray, a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """Return embeddings [tokens, width] with A [r, tokens] and B [width, r] on them."""
    return weight.astype(np.float64) + scale * (b.astype(np.float64) @ a.astype(np.float64)).T


def with_adapter(
    weights: Mapping[str, np.ndarray],
    tensors: Mapping[str, np.ndarray],
    *,
    scales: Mapping[str, float] | float,
) -> dict[str, np.ndarray]:
    """Return a model's weights with an adapter's tensors (PEFT's names) on them; `scales` by module, or one for all."""
    result = {name: weight.astype(np.float64) for name, weight in weights.items()}
    names = {name.removeprefix("base_model.model."): tensor for name, tensor in tensors.items()}
    for name, tensor in names.items():
        if "lora_" not in name:
            result[name.replace("base_layer.", "")] = tensor.astype(np.float64)
    for name, a in names.items():
        module, _, part = name.partition(".lora_")
        key, scale = f"{module}.weight", scales if isinstance(scales, float) else scales.get(module, 0.0)
        if part == "A.weight":
            magnitude = names.get(f"{module}.lora_magnitude_vector")
            result[key] = merged(result[key], a, names[f"{module}.lora_B.weight"], scale, magnitude)
        elif part == "embedding_A":
            result[key] = merged_embeddings(result[key], a, names[f"{module}.lora_embedding_B"], scale)
    return result
