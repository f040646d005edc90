"""llama.cpp's states of RWKV in little more than a quarter of their bytes, for the disk: the heads' matrices rounded to Q8_0.

What that changes in the logits is a tenth of what Q8_0 weights change, and fades within a few hundred tokens, as the matrices
decay: tests/desktop_app/engine/state/test_rounding.py. The shifted tokens and all numbers around them stay as they are. Source of
the layout: llama.cpp, src/llama-memory-recurrent.cpp, `state_write`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from converter.ggml import dequantize, is_valid, quantize
from converter.ggml_types import row_bytes
from models.gguf_constants import GGMLQuantizationType as Type

_HEADER = struct.Struct("<IiIiIII")
"""Magic number, sequence, cells, position, sequences, whether the matrices are transposed, layers."""
_BLOCK = struct.Struct("<iQ")
"""Before each tensor: its type, its bytes."""
_ROW = 32
_MOST_LAYERS = 1000


def rounded(state: bytes | bytearray) -> bytes | None:
    """Return a state's rounded form, or None for a state of another layout or with numbers that cannot be rounded."""
    parts = list(_parts(state, rounded=False))
    if not parts:
        return None
    out: list[bytes | memoryview] = []
    for part, is_matrix in parts:
        small = _small(part) if is_matrix else part
        if small is None:
            return None
        out.append(small)
    return b"".join(out)


def widened(data: bytes | bytearray) -> bytes | None:
    """Return the state of a rounded form, or None for anything else."""
    parts = list(_parts(data, rounded=True))
    return b"".join(_large(part) if is_matrix else part for part, is_matrix in parts) if parts else None


def _small(matrices: memoryview) -> bytes | None:
    rows = np.frombuffer(matrices, np.float32).reshape(-1, _ROW)
    small = np.empty((len(rows), row_bytes(Type.Q8_0, _ROW)), np.uint8)
    quantize(rows, Type.Q8_0, small)
    return small.tobytes() if is_valid(small, Type.Q8_0) else None


def _large(matrices: memoryview) -> bytes:
    rows = np.frombuffer(matrices, np.uint8).reshape(-1, row_bytes(Type.Q8_0, _ROW))
    return dequantize(rows, Type.Q8_0, _ROW).tobytes()


def _parts(data: bytes | bytearray, *, rounded: bool) -> Iterator[tuple[memoryview, bool]]:
    """Yield the pieces of a state in their order, and whether each is a layer's matrices; nothing where the layout is another."""
    start = 0
    for end, is_matrix in _ends(data, rounded=rounded):
        yield memoryview(data)[start:end], is_matrix
        start = end


def _ends(data: bytes | bytearray, *, rounded: bool) -> list[tuple[int, bool]]:
    """Return where the pieces end, after every layer's shifted tokens the matrices of each."""
    if len(data) < _HEADER.size:
        return []
    *_, cells, _, sequences, transposed, layers = _HEADER.unpack_from(data)
    if cells != 1 or sequences or transposed or not 0 < layers <= _MOST_LAYERS:
        return []
    at, ends = _HEADER.size, []
    for number in range(2 * layers):
        if at + _BLOCK.size > len(data):
            return []
        type_, size = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if type_ != Type.F32 or size % (4 * _ROW):
            return []
        if number >= layers:
            ends.append((at, False))
            at += size // (4 * _ROW) * row_bytes(Type.Q8_0, _ROW) if rounded else size
            ends.append((at, True))
        else:
            at += size
    return ends if at == len(data) else []
