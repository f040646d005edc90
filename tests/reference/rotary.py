"""Rotary positions in plain NumPy: the angle per position of each pair of dimensions, under every scaling.

Sources: Su et al. 2021 (rotary positions), Chen et al. 2023 (linear), Peng et al. 2023 (YaRN, section 3.4; dynamic NTK), Meta's
llama-models (`apply_scaling`), Ding et al. 2024 (LongRoPE); where the papers are silent, transformers, modeling_rope_utils.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def rotary_frequencies(config: Mapping[str, Any], length: int = 0) -> np.ndarray:
    """Return the angle per position of each pair of dimensions: [head_dim / 2]; `length` is that of the whole sequence."""
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    scaling = scaling_of(config)
    base = scaling.get("rope_theta", config.get("rope_theta", 10000.0))
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "dynamic":
        base = dynamic_base(config, scaling, base, size, length)
    frequencies = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    if kind == "linear":
        return frequencies / scaling["factor"]
    if kind == "llama3":
        return np.array([llama3_frequency(f, scaling) for f in frequencies])
    if kind == "yarn":
        return yarn_frequencies(frequencies, scaling, base, size)
    if kind == "longrope":
        trained = scaling["original_max_position_embeddings"]
        return frequencies / np.array(scaling["long_factor" if length > trained else "short_factor"])
    return frequencies


def vector_length(config: Mapping[str, Any]) -> float:
    """Return what rotated queries and keys are multiplied by."""
    scaling = scaling_of(config)
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "yarn":
        usual = 0.1 * math.log(scaling["factor"]) + 1
        return scaling.get("attention_factor", usual * scaling.get("attn_factor", 1.0))
    if kind == "longrope":
        trained = scaling["original_max_position_embeddings"]
        return math.sqrt(1 + math.log(config["max_position_embeddings"] / trained) / math.log(trained))
    return 1.0


def scaling_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def dynamic_base(config: Mapping[str, Any], scaling: Mapping[str, Any], base: float, size: int, length: int) -> float:
    """NTK-aware interpolation that grows with the sequence; nothing changes within the trained length."""
    trained, factor = config["max_position_embeddings"], scaling["factor"]
    if length <= trained:
        return base
    return base * (factor * length / trained - (factor - 1)) ** (size / (size - 2))


def llama3_frequency(frequency: float, scaling: Mapping[str, Any]) -> float:
    """Llama 3.1's rule: long waves are stretched by the factor, short ones kept, those between blended."""
    wavelength = 2 * math.pi / frequency
    low = scaling["original_max_position_embeddings"] / scaling["low_freq_factor"]
    high = scaling["original_max_position_embeddings"] / scaling["high_freq_factor"]
    if wavelength < high:
        return frequency
    if wavelength > low:
        return frequency / scaling["factor"]
    smooth = (scaling["original_max_position_embeddings"] / wavelength - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency


def yarn_frequencies(frequencies: np.ndarray, scaling: Mapping[str, Any], base: float, size: int) -> np.ndarray:
    """YaRN: pairs that turn often in the trained length stay, those that turn less than once are stretched."""
    trained = scaling["original_max_position_embeddings"]

    def pair_that_turns(times: float) -> float:
        return size * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(pair_that_turns(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair_that_turns(scaling.get("beta_slow", 1))), size - 1)
    ramp = np.clip((np.arange(size // 2) - low) / max(high - low, 0.001), 0, 1)
    return frequencies * (1 - ramp) + frequencies / scaling["factor"] * ramp
