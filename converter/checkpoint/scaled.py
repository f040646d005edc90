"""Checkpoints published in 8-bit floats: each weight's scales lie beside it, and reading multiplies them in.

Two customs: `X.weight_scale_inv`, one scale for each block of 128 x 128 (DeepSeek-V3's inference/kernel.py), and
`X.weight_scale`, one for the tensor or one for each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from models.errors import BadFile

_BLOCK = 128
_SUFFIXES = ("_scale_inv", "_scale")
_EIGHT_BITS = ("float8_e4m3fn", "float8_e5m2")


class ScaledCheckpoint:
    """Another checkpoint, whose scaled tensors appear as float32 and whose scales do not appear."""

    def __init__(self, inner: Checkpoint) -> None:
        """Find the scales by their names.

        Raises:
            BadFile: scales do not fit their tensor.
        """
        self._inner = inner
        self._scales = scales_of(inner)
        hidden = set(self._scales.values())
        self.tensors: Mapping[str, StoredTensor] = {
            name: StoredTensor(np.dtype(np.float32), tensor.shape) if name in self._scales else tensor
            for name, tensor in inner.tensors.items()
            if name not in hidden
        }
        for name, scale in self._scales.items():
            if not _fits(inner.tensors[name].shape, inner.tensors[scale].shape):
                raise BadFile(
                    "{path}: {tensor} does not fit its tensor; download the checkpoint again.",
                    path=inner.path,
                    tensor=scale[:80],
                )

    @property
    def path(self) -> Path:
        """The folder or file of the inner checkpoint."""
        return self._inner.path

    def read(self, name: str) -> np.ndarray:
        """Return one tensor, scaled where it has scales."""
        values = self._inner.read(name)
        scale = self._scales.get(name)
        return values if scale is None else _scaled(values, self._inner.read(scale).astype(np.float32))

    def release(self, name: str) -> None:
        """Give back the memory that reading a tensor took."""
        self._inner.release(name)

    def close(self) -> None:
        """Let go of the files."""
        self._inner.close()


def scales_of(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the names of 8-bit tensors and of their scales."""
    tensors = checkpoint.tensors
    return {
        name: name + suffix
        for name, tensor in tensors.items()
        if tensor.dtype.name in _EIGHT_BITS
        for suffix in _SUFFIXES
        if name + suffix in tensors
    }


def _fits(shape: tuple[int, ...], scale: tuple[int, ...]) -> bool:
    blocks = tuple(-(-n // _BLOCK) for n in shape)
    return len(shape) == 2 and scale in ((), (1,), (1, 1), (shape[0],), (shape[0], 1), blocks)


def _scaled(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    result = values.astype(np.float32)
    if scale.size == 1:
        result *= scale.reshape(())
    elif scale.size == len(values):
        result *= scale.reshape(-1, 1)
    else:
        for row, factors in enumerate(scale):
            result[row * _BLOCK : (row + 1) * _BLOCK] *= np.repeat(factors, _BLOCK)[: values.shape[1]]
    return result
