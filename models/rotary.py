"""Rotary positions: what config.json says about base and scaling, in llama.cpp's words."""

from __future__ import annotations

import math

import numpy as np

from models.config import Config
from models.errors import UnsupportedModel
from models.family import Metadata, OutputTensor

_DEFAULT_BASE = 10000.0


def rotary_parameters(config: Config) -> Metadata:
    """Return `rope.*` below the architecture's prefix.

    "dynamic" scaling changes nothing within the trained length, which is all that is declared, so it needs no key; "llama3"
    goes into a tensor (`llama3_factors`).

    Raises:
        UnsupportedModel: a scaling that llama.cpp does not compute.
    """
    scaling = _scaling(config)
    found: Metadata = {"rope.freq_base": rotary_base(config)}
    kind = _kind(scaling)
    if kind == "linear":
        found |= {"rope.scaling.type": "linear", "rope.scaling.factor": scaling.float("factor")}
    elif kind == "yarn":
        found |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": scaling.float("factor"),
            "rope.scaling.original_context_length": scaling.int("original_max_position_embeddings"),
        }
        for key, name in (
            ("extrapolation_factor", "rope.scaling.yarn_ext_factor"),
            ("attention_factor", "rope.scaling.yarn_attn_factor"),
            ("beta_fast", "rope.scaling.yarn_beta_fast"),
            ("beta_slow", "rope.scaling.yarn_beta_slow"),
        ):
            if key in scaling:
                found[name] = scaling.float(key)
    elif kind not in ("", "default", "dynamic", "llama3"):
        raise UnsupportedModel(
            f"{config.origin} asks for rotary scaling of type {kind!r}; Zhiyin knows linear, dynamic, yarn and llama3."
        )
    return found


def rotary_base(config: Config) -> float:
    """Return the base of the rotary frequencies."""
    return _scaling(config).float("rope_theta", default=config.float("rope_theta", default=_DEFAULT_BASE))


def llama3_factors(config: Config, size: int) -> tuple[OutputTensor, ...]:
    """Return `rope_freqs.weight` [size / 2] when the configuration asks for Llama 3.1's scaling, else nothing.

    Each factor divides the frequency of one pair of dimensions. Source: Meta's llama-models, `apply_scaling`.
    """
    scaling = _scaling(config)
    if _kind(scaling) != "llama3":
        return ()
    factor = scaling.float("factor", default=8.0)
    low = scaling.float("low_freq_factor", default=1.0)
    high = scaling.float("high_freq_factor", default=4.0)
    trained = scaling.int("original_max_position_embeddings", default=8192)
    base = rotary_base(config)

    def factors() -> np.ndarray:
        wavelengths = 2 * math.pi * base ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))
        smooth = (trained / wavelengths - low) / (high - low)
        between = 1 / ((1 - smooth) / factor + smooth)
        result = np.where(wavelengths > trained / low, factor, between)
        return np.where(wavelengths < trained / high, 1.0, result).astype(np.float32)

    return (OutputTensor("rope_freqs.weight", (size // 2,), (), factors),)


def _scaling(config: Config) -> Config:
    return config.section("rope_parameters", "rope_scaling")


def _kind(scaling: Config) -> str:
    return scaling.str("rope_type", "type", default="").lower()
