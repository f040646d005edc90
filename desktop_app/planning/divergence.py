"""Predicts what a quantization loses: the mean KL divergence from the original's next-token distributions, by its types alone.

A type rounds weights with a relative squared error that hardly depends on the model; the divergence grows with the mean of these
errors over what a token is multiplied by, and falls with the model's size. Fitted to what llama.cpp publishes of Llama 3 8B
(tools/perplexity/README.md: Q8_0 to Q2_K, each met within a factor of 1.6) and to SmolLM2 135M measured here. What was measured
of a file (`zhiyin quality`) stands above it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from desktop_app.system.read_speed import Weights
from models.gguf_constants import GGML_QUANT_SIZES, GGMLQuantizationType

GOOD = 0.07
"""Nats; answers with no more are called hardly worse than the original's. This is a judgement: it lies between Llama 3 8B's
Q4_K_M (0.031) and Q3_K_M (0.10)."""

_GRADES = (("exact", 0.0005), ("excellent", 0.02), ("good", GOOD), ("fair", 0.15))
"""Words for what is lost, with the largest divergence of each."""
_ERRORS = {
    "F32": 0.0,
    "F16": 0.0,
    "BF16": 0.0,
    "F64": 0.0,
    "Q8_0": 2.88e-5,
    "Q6_K": 3.16e-4,
    "Q5_K": 1.31e-3,
    "Q5_1": 1.43e-3,
    "Q5_0": 1.83e-3,
    "Q4_K": 5.1e-3,
    "IQ4_NL": 5.81e-3,
    "IQ4_XS": 5.9e-3,
    "Q4_1": 6.13e-3,
    "Q4_0": 7.42e-3,
    "Q3_K": 2.28e-2,
    "Q2_K": 8.81e-2,
    "MXFP4": 0.0,
    "NVFP4": 0.0,
    "TQ1_0": 0.0,
    "TQ2_0": 0.0,
}
"""Relative squared error of each type on normally distributed weights; none where models are published in the type."""
_SCALE, _POWER = 3.0, 0.77
_SIZE, _SIZE_POWER = 8e9, -0.46
"""Weights of the model that the scale is of, and how the divergence changes with their number."""


def predicted_divergence(read: Mapping[str, Weights], size: int = 0) -> float:
    """Return the mean KL divergence in nats that weights of these types cause; 0 for the original's own.

    Args:
        read: what a token is multiplied by.
        size: bytes of all weights, which are more where experts are chosen from.
    """
    elements = {name: _elements(name, weights.bytes) for name, weights in read.items()}
    together = sum(elements.values())
    if not together:
        return 0.0
    error = sum(count * _error(name) for name, count in elements.items()) / together
    more = max(1.0, size / sum(weights.bytes for weights in read.values()))
    # Assumed, not measured: experts are as able as a dense model of the geometric mean of what is used and what is there.
    able = together * math.sqrt(more)
    return float(_SCALE * (able / _SIZE) ** _SIZE_POWER * error**_POWER)


def grade(divergence: float) -> str:
    """Return what a divergence means: `exact`, `excellent`, `good`, `fair` or `poor`."""
    return next((word for word, most in _GRADES if divergence <= most), "poor")


def _elements(type_name: str, size: int) -> float:
    block, block_size = GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
    return size * block / block_size


def _error(type_name: str) -> float:
    """Return a type's error; one that is rare by the bits of a weight, on the line through Q2_K and Q4_K."""
    if type_name in _ERRORS:
        return _ERRORS[type_name]
    coarse, fine = _bits("Q2_K"), _bits("Q4_K")
    ratio = _ERRORS["Q4_K"] / _ERRORS["Q2_K"]
    return float(_ERRORS["Q2_K"] * ratio ** ((_bits(type_name) - coarse) / (fine - coarse)))


def _bits(type_name: str) -> float:
    return 8 / _elements(type_name, 1)
