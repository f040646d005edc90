"""llama.cpp's state of a sequence with attention alone, as rows: what each layer keeps of each token.

Only rows go into files. Everything else of a state is written here anew, so that a file can put nothing but numbers into the
cache; types and sizes of the rows are compared by llama.cpp with its own. Source of the layout: llama.cpp,
src/llama-kv-cache.cpp, `state_write`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

_HEADER = struct.Struct("<Ii")
"""Magic number, sequence."""
_COUNT = struct.Struct("<I")
"""Streams; and of each its cells."""
_CELL = np.dtype([("position", "<i4"), ("sequences", "<u4"), ("sequence", "<i4")])
_LAYERS = struct.Struct("<II")
"""Whether values are transposed, layers."""
_TENSOR = struct.Struct("<iQ")
"""Before each layer's keys, then before each one's values: their type, the bytes of a row."""
_SHAPE = struct.Struct("<IIII")
"""Of a stored layout: magic number, layers, tensors, 0."""
_MOST_TENSORS = 4000
_LONGEST_ROW = 1 << 24


@dataclass(frozen=True)
class Layout:
    """The layout of a token's rows."""

    magic: int
    """llama.cpp's, of the version that wrote the state."""
    layers: int
    tensors: tuple[tuple[int, int], ...]
    """Type and bytes of a row: the keys of all layers, then the values, where a model has any."""

    @property
    def token_bytes(self) -> int:
        """Return what all layers keep of one token."""
        return sum(size for _, size in self.tensors)

    def stored(self) -> bytes:
        """Return it as a file has it."""
        sizes = b"".join(_TENSOR.pack(*tensor) for tensor in self.tensors)
        return _SHAPE.pack(self.magic, self.layers, len(self.tensors), 0) + sizes


@dataclass(frozen=True)
class Cells:
    """The rows of a sequence's tokens, in their order."""

    layout: Layout
    rows: tuple[np.ndarray, ...]
    """uint8 [tokens, bytes of a row], one for each tensor."""

    def part(self, start: int, end: int) -> list[np.ndarray]:
        """Return the rows of some tokens."""
        return [rows[start:end] for rows in self.rows]


def layout_from(data: bytes) -> Layout | None:
    """Return a stored layout; None: it is none."""
    if len(data) < _SHAPE.size:
        return None
    magic, layers, tensors, _ = _SHAPE.unpack_from(data)
    if not 0 < layers <= tensors <= _MOST_TENSORS or len(data) != _SHAPE.size + tensors * _TENSOR.size:
        return None
    shapes = tuple(_TENSOR.iter_unpack(data[_SHAPE.size :]))
    return Layout(magic, layers, shapes) if all(0 < size <= _LONGEST_ROW for _, size in shapes) else None


def cells_of(state: np.ndarray, tokens: int) -> Cells | None:
    """Return the rows in a state, uint8, of a sequence of so many tokens; None: it remembers something else or otherwise."""
    try:
        return _read(state.data, state, tokens)
    except struct.error:  # it ends before its end: another layout
        return None


def _read(data: memoryview, state: np.ndarray, tokens: int) -> Cells | None:
    magic, _ = _HEADER.unpack_from(data)
    at = _HEADER.size
    (streams,) = _COUNT.unpack_from(data, at)
    at += _COUNT.size
    count = 0
    for _ in range(streams):  # those of other sequences are empty; those behind this one's follow its rows
        (count,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size
        if count:
            break
    end = at + count * _CELL.itemsize
    if count != tokens or end > len(state):
        return None
    cells = np.frombuffer(state[at:end], _CELL)
    order = np.argsort(cells["position"], kind="stable")
    if (cells["sequences"] != 1).any() or (cells["position"][order] != np.arange(tokens)).any():
        return None
    transposed, layers = _LAYERS.unpack_from(data, end)
    if transposed or not layers:
        return None
    in_order = bool((order[1:] > order[:-1]).all())
    return _rows(state, end + _LAYERS.size, tokens, Layout(magic, layers, ()), None if in_order else order)


def _rows(state: np.ndarray, at: int, tokens: int, layout: Layout, order: np.ndarray | None) -> Cells | None:
    tensors: list[tuple[int, int]] = []
    rows: list[np.ndarray] = []
    while len(state) - at > _TENSOR.size and len(rows) < 2 * layout.layers:
        type_, size = _TENSOR.unpack_from(state.data, at)
        if not size:  # no values: latent vectors are keys and values in one
            break
        start, at = at + _TENSOR.size, at + _TENSOR.size + size * tokens
        if size > _LONGEST_ROW or at > len(state):
            return None
        tensors.append((type_, size))
        cells = state[start:at].reshape(tokens, size)
        rows.append(cells if order is None else cells[order])
    if len(rows) < layout.layers or state[at:].any():  # what follows are the counts of empty streams
        return None
    return Cells(Layout(layout.magic, layout.layers, tuple(tensors)), tuple(rows))


class Assembly:
    """A state for llama.cpp that is put together of rows."""

    def __init__(self, layout: Layout, tokens: int, sequence: int, streams: int) -> None:
        """Begin without rows.

        Args:
            layout: of the rows.
            tokens: how many will be there.
            sequence: into which it goes.
            streams: of the context.
        """
        self.layout = layout
        head = _HEADER.pack(layout.magic, sequence) + _COUNT.pack(streams) + _COUNT.pack(tokens)
        cells = np.zeros(tokens, _CELL)
        cells["position"], cells["sequences"], cells["sequence"] = np.arange(tokens), 1, sequence
        fixed = len(head) + cells.nbytes + _LAYERS.size + len(layout.tensors) * _TENSOR.size
        self.state = np.empty(fixed + tokens * layout.token_bytes + (streams - 1) * _COUNT.size, np.uint8)
        self.rows: list[np.ndarray] = []
        """uint8 [tokens, bytes of a row], one for each tensor, to be written into."""
        at = self._put(0, head + cells.tobytes() + _LAYERS.pack(0, layout.layers))
        for tensor in layout.tensors:
            at = self._put(at, _TENSOR.pack(*tensor))
            self.rows.append(self.state[at : at + tokens * tensor[1]].reshape(tokens, tensor[1]))
            at += tokens * tensor[1]
        self.state[at:] = 0

    def _put(self, at: int, data: bytes) -> int:
        self.state[at : at + len(data)] = np.frombuffer(data, np.uint8)
        return at + len(data)
