"""Readers of checkpoints in every layout, behind one interface: `Checkpoint`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from converter.checkpoint.source_file import Rows

_MOST_ELEMENTS = 1 << 48


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the checkpoint stores it."""

    dtype: np.dtype[Any]
    """NumPy's or `ml_dtypes`' (bfloat16, float8_e4m3fn, float8_e5m2)."""
    shape: tuple[int, ...]


class Checkpoint(Protocol):
    """Lazy access to the tensors of a checkpoint; opening reads headers only."""

    @property
    def path(self) -> Path:
        """The folder or the single file that it was opened from."""
        ...

    @property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """Every tensor's dtype and shape."""
        ...

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory; raises `models.errors.BadFile`."""
        ...

    def rows(self, name: str) -> Rows:
        """Return one tensor, whose rows are read when they are used, where the layout allows.

        Rows are those of the first axis. Raises `models.errors.BadFile`, then or now.
        """
        ...

    def check(self) -> None:
        """Raise `models.errors.BadFile` where a file was changed since it was opened."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return " x ".join(map(str, shape)) or "scalar"


def is_possible(shape: Sequence[int]) -> bool:
    """Tell whether an array of an untrusted shape can exist, also where a dimension of 0 hides that the others are absurd."""
    return prod(max(n, 1) for n in shape) < _MOST_ELEMENTS
