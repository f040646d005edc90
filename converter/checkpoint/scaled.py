"""Checkpoints published in 8-bit floats: each weight's scales lie beside it, and reading multiplies them in.

Two customs: `X.weight_scale_inv`, one scale for each block of 128 x 128 (DeepSeek-V3's inference/kernel.py), and
`X.weight_scale`, one for the tensor or one for each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.source_file import Rows
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
        return np.asarray(self.rows(name))

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read and scaled when they are used."""
        values, scale = self._inner.rows(name), self._scales.get(name)
        if scale is None:
            return values
        return _ScaledRows(values, self._inner.read(scale).astype(np.float32), self.tensors[name].shape)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self._inner.check()

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


class _ScaledRows:
    """Float32 rows that are multiplied by their scales when NumPy asks for them; slicing gives another such object."""

    dtype = np.dtype(np.float32)

    def __init__(self, values: Rows, scale: np.ndarray, shape: tuple[int, ...], start: int = 0) -> None:
        """Take rows of a tensor of a shape, all its scales, and which row is the first."""
        self._values = values
        self._scale = scale
        self._shape = shape
        self._start = start

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice) -> _ScaledRows:
        start, _, _ = rows.indices(len(self))
        return _ScaledRows(self._values[rows], self._scale, self._shape, self._start + start)

    def __array__(self, dtype: np.dtype[np.float32] | None = None, copy: bool | None = None) -> np.ndarray:
        result = np.asarray(self._values).astype(np.float32)
        rows = np.arange(self._start, self._start + len(result))
        if self._scale.size == 1:
            result *= self._scale.reshape(())
        elif self._scale.size == self._shape[0]:
            result *= self._scale.reshape(-1, 1)[rows]
        else:
            result *= np.repeat(self._scale[rows // _BLOCK], _BLOCK, axis=1)[:, : self._shape[1]]
        return result
