"""ggml's tensor types as plain data: nothing of libggml is loaded for it."""

from __future__ import annotations

from models.gguf_constants import GGML_QUANT_SIZES, GGMLQuantizationType


def row_bytes(type_: GGMLQuantizationType, length: int) -> int:
    """Return the bytes of a row of `length` elements (a multiple of the type's block)."""
    block, size = GGML_QUANT_SIZES[type_]
    return length // int(block) * int(size)
