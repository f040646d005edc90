"""Values of tensors that follow from their names alone, the same in every environment."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

IDS = (3, 17, 41, 8, 8, 29, 5, 44, 12, 30, 7, 21, 39, 2, 16, 33, 10, 26, 45, 19, 4, 37, 23, 14)
"""Tokens whose logits are compared."""


def values(name: str, shape: Sequence[int]) -> np.ndarray:
    """Return float32 values of a tensor: vectors around 1 for norms and around 0 for others, matrices that keep lengths."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) < 2:
        middle = 1.0 if "norm" in name else 0.0
        return (middle + random.uniform(-0.25, 0.25, shape)).astype(np.float32)
    scale = 0.5 if "embed" in name else 0.5 / math.sqrt(shape[-1])
    return (random.standard_normal(shape) * scale).astype(np.float32)
