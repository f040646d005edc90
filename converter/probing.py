"""A model in F16, some of whose tensors are made as coarse as a type would make them, and then exact again.

The file is written once: what is measured of it, group after group, changes only the group's bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from converter.ggml import dequantize, quantize, widen
from converter.ggml_types import row_bytes
from converter.gguf_header import GGUFTensor, read_gguf_header
from converter.importance import Importance
from models.gguf_constants import GGMLQuantizationType as Type

_PIECE = 1 << 22
"""Weights that are rounded at once by each thread."""
_FLOAT16 = np.finfo(np.float16)


class _Piece(NamedTuple):
    """Some rows of one tensor's matrix."""

    start: int
    """Byte in the file."""
    rows: int
    length: int
    type: Type
    weights: np.ndarray | None
    """Of the columns, from the importance matrix."""


class ProbeFile:
    """A GGUF file that may be written to while nobody has it loaded."""

    def __init__(self, path: Path, importance: Importance, threads: int) -> None:
        """Take a file whose matrices are in F16."""
        self._path = path
        self._importance = importance
        self._threads = threads
        self._tensors = read_gguf_header(path, arrays=False).tensors

    @contextmanager
    def rounded(self, types: Mapping[str, Type]) -> Iterator[None]:
        """Let these tensors have the weights that their types would leave of them; where all went well they are put back."""
        tensors = [self._tensors[name] for name in types]
        kept = self._path.with_suffix(".kept")
        with self._path.open("rb") as file, kept.open("wb") as beside:
            for tensor in tensors:
                file.seek(tensor.offset)
                for start in range(0, tensor.size, 2 * _PIECE):
                    beside.write(file.read(min(2 * _PIECE, tensor.size - start)))
        self._round(types)
        yield
        with self._path.open("r+b") as file, kept.open("rb") as beside:
            for tensor in tensors:
                file.seek(tensor.offset)
                for start in range(0, tensor.size, 2 * _PIECE):
                    file.write(beside.read(min(2 * _PIECE, tensor.size - start)))

    def _round(self, types: Mapping[str, Type]) -> None:
        pieces = (piece for name, type_ in types.items() for piece in self._pieces(self._tensors[name], type_))
        with self._path.open("r+b") as file, ThreadPoolExecutor(self._threads, "round") as pool:
            while together := list(islice(pieces, self._threads)):
                values = []
                for piece in together:
                    file.seek(piece.start)
                    values.append(np.frombuffer(file.read(2 * piece.rows * piece.length), np.float16))
                for piece, made in zip(together, pool.map(_rounded, together, values), strict=True):
                    file.seek(piece.start)
                    file.write(made.data)

    def _pieces(self, tensor: GGUFTensor, type_: Type) -> Iterator[_Piece]:
        """Yield a tensor's rows; each matrix has weights of its own."""
        *outer, length = tensor.shape
        weights = self._importance.of(tensor.name, tensor.shape)
        matrices = 1 if weights is None else len(weights)
        rows = prod(outer) // matrices
        at_once = max(1, _PIECE // length)
        for matrix in range(matrices):
            for row in range(0, rows, at_once):
                start = tensor.offset + 2 * length * (matrix * rows + row)
                yield _Piece(
                    start, min(at_once, rows - row), length, type_, None if weights is None else weights[matrix]
                )


def _rounded(piece: _Piece, values: np.ndarray) -> np.ndarray:
    """Return float16 [rows, length], as far as it can hold what the type makes of the values."""
    out = np.empty((piece.rows, row_bytes(piece.type, piece.length)), np.uint8)
    quantize(widen(values.reshape(piece.rows, piece.length)), piece.type, out, piece.weights)
    return dequantize(out, piece.type, piece.length).clip(_FLOAT16.min, _FLOAT16.max).astype(np.float16)
