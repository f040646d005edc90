"""Which weights ggml repacks for this processor's instructions as it loads them.

They are copies: where there are any, the file is read rather than mapped, or the model would be in memory twice, once in the
file's pages (which any touch of a neighbour brings back by the megabyte, where the system keeps files in large pages).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from converter.gguf_header import NO_WEIGHTS, GGUFHeader, GGUFTensor, all_tensors
from desktop_app.engine.backends import has_working_repack
from desktop_app.engine.graph.builder import Context, Tensor
from desktop_app.engine.graph.devices import cpu_device, supports
from desktop_app.engine.graph.library import ggml, procedure
from models.gguf_constants import GGML_QUANT_SIZES
from models.gguf_constants import GGMLQuantizationType as Type

_CRASHING = b"AMX"
"""Memory in which ggml repacks weights for AMX; see `engine.backends.has_working_repack`."""
_TOKENS = 512
_ROWS = 4096
_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"
"""Single rows of the embedding are read, as they lie in the file; where it is the head too, ggml computes with a second one."""


def repacks_any(header: GGUFHeader) -> bool:
    """Tell whether llama.cpp makes a repacked copy of one of a model's weights for the processor."""
    if not has_working_repack():
        return False
    tensors = all_tensors(header)
    if _HEAD in tensors:  # or the embedding is the head too
        tensors.pop(_EMBEDDING, None)
    matrices = {(tensor.type, tensor.shape[-2:]) for tensor in tensors.values() if _is_multiplied(tensor)}
    return any(repacking_buffer_type(cpu_device(), type_, shape) for type_, shape in matrices)


def repacked_types() -> list[str]:
    """Return the types of weights that ggml repacks for this processor, where a matrix has rows enough."""
    if not has_working_repack():
        return []
    quantized = [type_ for type_ in Type if type_ not in NO_WEIGHTS and GGML_QUANT_SIZES[type_][0] > 1]
    return [type_.name for type_ in quantized if repacking_buffer_type(cpu_device(), type_, (_ROWS, _ROWS))]


def repacking_buffer_type(cpu: int, type_: Type, shape: tuple[int, ...]) -> int | None:
    """Return the buffer type in which ggml repacks a weight [rows, columns] of a type, if there is one.

    Of experts' weights [experts, rows, columns] those of one are asked about: ggml treats all alike.
    """
    rows, columns = shape[-2:]
    for kind in memory_kinds(cpu):
        with Context(8) as context:
            weight = context.new(type_, columns, rows)
            x = context.new(Type.F32, columns, _TOKENS)

            def product(context: Context = context, weight: Tensor = weight, x: Tensor = x) -> Tensor:
                return context.call("ggml_mul_mat", weight, x)

            if supports(cpu, product, weight, kind):
                return kind
    return None


def _is_multiplied(tensor: GGUFTensor) -> bool:
    return len(tensor.shape) > 1 and tensor.type not in NO_WEIGHTS


@cache
def memory_kinds(cpu: int) -> tuple[int, ...]:
    """Return the processor's further kinds of memory, but for those that crash here."""
    list_types: Any = procedure(cpu, "ggml_backend_dev_get_extra_bufts", "pp")
    if list_types is None:
        return ()
    address, kinds = list_types(cpu), []
    while address:
        kind = ctypes.c_void_p.from_address(address).value
        if kind is None:
            break
        if _CRASHING not in ggml().ggml_backend_buft_name(kind):
            kinds.append(kind)
        address += ctypes.sizeof(ctypes.c_void_p)
    return tuple(kinds)
