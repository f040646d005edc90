"""Writing GGUF: the header is laid out in memory first, so that the file's exact size is known before the first byte.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from converter.ggml_types import row_bytes
from models.family import Metadata, Shape
from models.gguf_constants import GGMLQuantizationType, GGUFValueType

_ALIGNMENT = 32
_FORMATS = {
    GGUFValueType.UINT16: "<H",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
}


class UInt16(int):
    """A whole number that readers want in 16 bits."""


class Int32(int):
    """A whole number that readers want with a sign."""


@dataclass(frozen=True)
class Encoded:
    """A metadata value as another GGUF file holds it: its type and its bytes, to be written unchanged."""

    data: bytes


@dataclass(frozen=True)
class PlacedTensor:
    """A tensor's place in the file."""

    name: str
    shape: Shape
    """Row-major."""
    type: GGMLQuantizationType
    offset: int
    """Bytes from the start of the data."""
    size: int
    """Bytes, without the padding after it."""


@dataclass(frozen=True)
class Layout:
    """A whole file but for its tensors' bytes."""

    header: bytes
    """Everything before the data, its padding included."""
    tensors: tuple[PlacedTensor, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        last = self.tensors[-1] if self.tensors else None
        return len(self.header) + (aligned(last.offset + last.size) if last else 0)


def lay_out(metadata: Metadata, tensors: Sequence[tuple[str, Shape, GGMLQuantizationType]]) -> Layout:
    """Lay out a file with the given metadata and tensors (name, row-major shape, type)."""
    placed, offset = [], 0
    for name, shape, type_ in tensors:
        size = row_bytes(type_, shape[-1]) * prod(shape[:-1])
        placed.append(PlacedTensor(name, shape, type_, offset, size))
        offset = aligned(offset + size)
    header = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(placed), len(metadata)))
    for key, value in metadata.items():
        header += _string(key) + _typed(value)
    for tensor in placed:
        header += _string(tensor.name) + struct.pack("<I", len(tensor.shape))
        header += struct.pack(f"<{len(tensor.shape)}Q", *reversed(tensor.shape))
        header += struct.pack("<IQ", int(tensor.type), tensor.offset)
    header += bytes(aligned(len(header)) - len(header))
    return Layout(bytes(header), tuple(placed))


def aligned(size: int) -> int:
    """Return `size` rounded up to the alignment."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _typed(value: Any) -> bytes:
    if isinstance(value, Encoded):
        return value.data
    if isinstance(value, bytes):
        return struct.pack("<IIQ", GGUFValueType.ARRAY, GGUFValueType.UINT8, len(value)) + value
    if isinstance(value, (list, tuple)):
        kind = _item_type(value)
        header = struct.pack("<IIQ", GGUFValueType.ARRAY, kind, len(value))
        if kind is GGUFValueType.STRING:
            return header + b"".join(_string(item) for item in value)
        return header + struct.pack(f"<{len(value)}{_FORMATS[kind][1]}", *value)
    kind = _scalar_type(value)
    data = _string(value) if kind is GGUFValueType.STRING else struct.pack(_FORMATS[kind], value)
    return struct.pack("<I", kind) + data


def _scalar_type(value: Any) -> GGUFValueType:
    """Return the type that llama.cpp asks for: whole numbers are unsigned 32 bits wherever they fit."""
    if isinstance(value, bool):
        return GGUFValueType.BOOL
    if isinstance(value, (UInt16, Int32)):
        return GGUFValueType.UINT16 if isinstance(value, UInt16) else GGUFValueType.INT32
    if isinstance(value, int):
        if 0 <= value < 1 << 32:
            return GGUFValueType.UINT32
        return GGUFValueType.UINT64 if value > 0 else GGUFValueType.INT64
    return GGUFValueType.FLOAT32 if isinstance(value, float) else GGUFValueType.STRING


def _item_type(values: Sequence[Any]) -> GGUFValueType:
    first = values[0] if values else ""
    if isinstance(first, bool):
        return GGUFValueType.BOOL
    if isinstance(first, int):
        return GGUFValueType.INT32
    return GGUFValueType.FLOAT32 if isinstance(first, float) else GGUFValueType.STRING


def _string(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    return struct.pack("<Q", len(data)) + data
