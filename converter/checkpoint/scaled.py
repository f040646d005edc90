"""Checkpoints published in 8-bit floats: each weight's scales lie beside it, and reading multiplies them in.

Two customs: `X.weight_scale_inv`, one scale for each block (DeepSeek-V3's inference/kernel.py; 128 x 128 where the
configuration's `weight_block_size` or compressed-tensors' `block_structure` says nothing else), and `X.weight_scale`, one for the
tensor or one for each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.source_file import Rows
from models.config import Config
from models.errors import BadFile
from models.family import Shape
from models.refusals import SECTIONS

Block = tuple[int, int]
"""Rows and columns that share a scale."""
USUAL_BLOCK: Block = (128, 128)
_SIZES = (16, 32, 64, 128, 256, 512, 1024)
_SUFFIXES = ("_scale_inv", "_scale")
_EIGHT_BITS = ("float8_e4m3fn", "float8_e5m2")


class ScaledCheckpoint:
    """Another checkpoint, whose scaled tensors appear as float32 and whose scales do not appear."""

    def __init__(self, inner: Checkpoint, block: Block = USUAL_BLOCK) -> None:
        """Find the scales by their names; `block` is what the configuration says.

        Raises:
            BadFile: scales do not fit their tensor.
        """
        self.inner = inner
        self._scales = scales_of(inner)
        self._block = _fitting_block(inner, self._scales, block)
        hidden = set(self._scales.values())
        self.tensors: Mapping[str, StoredTensor] = {
            name: StoredTensor(np.dtype(np.float32), tensor.shape) if name in self._scales else tensor
            for name, tensor in inner.tensors.items()
            if name not in hidden
        }
        for name, scale in self._scales.items():
            if not _steps(inner.tensors[name].shape, inner.tensors[scale].shape, self._block):
                raise BadFile(
                    "{path}: {tensor} does not fit its tensor; download the checkpoint again.",
                    path=inner.path,
                    tensor=scale[:80],
                )

    @property
    def path(self) -> Path:
        """The folder or file of the inner checkpoint."""
        return self.inner.path

    def read(self, name: str) -> np.ndarray:
        """Return one tensor, scaled where it has scales."""
        return np.asarray(self.rows(name))

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read and scaled when they are used."""
        values, scale = self.inner.rows(name), self._scales.get(name)
        if scale is None:
            return values
        shape = self.tensors[name].shape
        factors = self.inner.read(scale).astype(np.float32)
        factors = factors.reshape(*factors.shape, *(1 for _ in shape[factors.ndim :]))
        return _ScaledRows(values, factors, shape, _steps(shape, factors.shape, self._block))

    def stored_names(self, name: str) -> tuple[str, ...]:
        """Return the stored tensors that one is read from: itself, and its scales."""
        return (name, self._scales[name]) if name in self._scales else (name,)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self.inner.check()

    def close(self) -> None:
        """Let go of the files."""
        self.inner.close()


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


def block_size(config: Config) -> Block:
    """Return the rows and columns that share a scale, as a published configuration says it.

    Raises:
        BadFile: what it says is none.
    """
    inner = config.section("text_config") if "text_config" in config else config
    within = config if any(key in config for key in SECTIONS) else inner
    section = within.section(*SECTIONS)
    block = section.entries("weight_block_size", int)
    if block is None:
        groups = section.section("config_groups")
        weights = [groups.section(name).section("weights") for name in groups.data if name not in ("", "format")]
        block = next((structure for one in weights if (structure := one.entries("block_structure", int))), None)
    if not block:
        return USUAL_BLOCK
    if len(block) != 2 or min(block) < 1:
        raise BadFile(
            "{path} says that {size} weights share a scale, which are no rows and columns; download it again.",
            path=config.origin,
            size=str(block)[:40],
        )
    return block[0], block[1]


def _steps(shape: Shape, scale: Shape, block: Block) -> tuple[int, ...]:
    """Return for each axis of a tensor how many entries share a scale; () where the scales do not fit."""
    per_row = (*scale, *(1 for _ in shape[len(scale) :]))
    if len(shape) < 2 or len(per_row) != len(shape):
        return ()
    usual = (*(1 for _ in shape[2:]), *block)
    steps = []
    for axis, (size, count, step) in enumerate(zip(shape, per_row, usual, strict=True)):
        by_rows = all(number == 1 for number in per_row[axis:])
        steps.append(max(size, 1) if by_rows else 1 if count == size else step)
        if -(-size // steps[-1]) != count:
            return ()
    return tuple(steps)


def _fitting_block(inner: Checkpoint, scales: Mapping[str, str], block: Block) -> Block:
    """Return how many rows and columns share a scale: as was said, or where that does not fit, the square that fits all."""
    shapes = {(inner.tensors[name].shape, inner.tensors[scale].shape) for name, scale in scales.items()}
    fitting = (
        size for size in (block, *((size, size) for size in _SIZES)) if all(_steps(*pair, size) for pair in shapes)
    )
    return next(fitting, block)


class _ScaledRows:
    """Float32 rows that are multiplied by their scales when NumPy asks for them; slicing gives another such object."""

    dtype = np.dtype(np.float32)

    def __init__(self, values: Rows, scale: np.ndarray, shape: Shape, steps: tuple[int, ...], start: int = 0) -> None:
        """Take rows of a tensor of a shape, its scales, how many entries of each axis share one, and which row is the first."""
        self._values = values
        self._scale = scale
        self._shape = shape
        self._steps = steps
        self._start = start

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice) -> _ScaledRows:
        start, _, _ = rows.indices(len(self))
        return _ScaledRows(self._values[rows], self._scale, self._shape, self._steps, self._start + start)

    def __array__(self, dtype: np.dtype[np.float32] | None = None, copy: bool | None = None) -> np.ndarray:
        result = np.asarray(self._values).astype(np.float32)
        scale = self._scale[np.arange(self._start, self._start + len(result)) // self._steps[0]]
        for axis, (size, step) in enumerate(zip(self._shape, self._steps, strict=True)):
            if axis and 1 < step < size:
                scale = np.repeat(scale, step, axis).take(np.arange(size), axis)
        result *= scale
        return result
