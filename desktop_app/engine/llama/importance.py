"""Collects an importance matrix while llama.cpp computes: sums of the squared inputs of every matrix product.

ggml asks before each node of the graph whether anybody wants to see it, and shows it when it is computed. What is collected, and
of which nodes, is what tools/imatrix of llama.cpp collects with `--process-output`; where the embedding is the head too, the
head's inputs are noted under its name. Structures: ggml/include/ggml.h.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import llama_cpp.llama_cpp as llama
import numpy as np

from converter.importance import Sums
from desktop_app.engine.graph.library import ggml
from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType

_FEWEST_ROWS = 16
"""Tokens of a batch; llama.cpp passes over smaller ones."""
_OPERATIONS = 64
"""Numbers among which ggml's products are; it has more."""
_HEADS = ("output.weight", "token_embd.weight")


class _Tensor(ctypes.Structure):
    """`struct ggml_tensor`."""


_Pointer = ctypes.POINTER(_Tensor)
_Tensor._fields_ = (
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", _Pointer * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
)


class ImportanceCollector:
    """The sums so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sums: dict[str, Sums] = {}
        self._failure: Exception | None = None
        self.callback = llama.ggml_backend_sched_eval_callback(self._node)
        """`llama_context_params.cb_eval`; it has to outlive the context."""

    def check(self) -> None:
        """Raise what went wrong while collecting; called from C, the callback cannot."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _node(self, address: int, ask: bool, _: Any) -> bool:
        try:
            tensor = ctypes.cast(address, _Pointer).contents
            if ask:
                return self._failure is None and _is_wanted(tensor)
            self._collect(tensor)
        except Exception as error:
            self._failure = error
            return False
        return True

    def _collect(self, tensor: _Tensor) -> None:
        weight, inputs = tensor.src[0].contents, tensor.src[1].contents
        name = _name(weight)
        by_expert = tensor.op == _operations().by_expert
        matrices = weight.ne[2] * weight.ne[3]
        sums = self.sums.get(name)
        if sums is None:
            counts = matrices if by_expert else 1
            sums = Sums(np.zeros((matrices, inputs.ne[0]), np.float32), np.zeros(counts, np.int64))
            self.sums[name] = sums
        with np.errstate(over="ignore"):
            if by_expert:
                _add_by_expert(sums, _values(inputs, np.float32), _values(tensor.src[2].contents, np.int32)[0, 0])
            else:
                _add(sums, _values(inputs, np.float32), weight.ne[2], weight.ne[3])
        if not np.isfinite(sums.values).all():
            raise ZhiyinError("The model computes NaN or infinity in {tensor}; convert it again.", tensor=name)


def _add(sums: Sums, inputs: np.ndarray, matrices: int, outer: int) -> None:
    """Add the inputs [outer', matrices', rows, columns] of a product; the weight's are repeated over them."""
    for third, block in enumerate(inputs):
        for second, rows in enumerate(block):
            place = third % outer * matrices + second % matrices
            sums.values[place] += np.einsum("ij,ij->j", rows, rows)
    sums.counts += inputs[..., 0].size // len(sums.values)


def _add_by_expert(sums: Sums, inputs: np.ndarray, experts: np.ndarray) -> None:
    """Add the inputs [1, tokens, used or 1, columns] of a product that takes each token's experts [tokens, used]."""
    tokens, used = experts.shape
    if experts.size and not 0 <= experts.min() <= experts.max() < len(sums.values):
        raise ZhiyinError("The model chooses an expert that it does not have; convert it again.")
    rows = np.broadcast_to(inputs[0], (tokens, used, inputs.shape[-1])).reshape(tokens * used, -1)
    chosen = experts.reshape(-1)
    for expert in np.unique(chosen):
        part = rows[chosen == expert]
        sums.values[expert] += np.einsum("ij,ij->j", part, part)
        sums.counts[expert] += len(part)


def _is_wanted(tensor: _Tensor) -> bool:
    operations = _operations()
    if tensor.op == operations.by_expert:
        return True
    if tensor.op != operations.product:
        return False
    inputs = tensor.src[1].contents
    if inputs.ne[1] < _FEWEST_ROWS or inputs.type != GGMLQuantizationType.F32:
        return False
    name = _name(tensor.src[0].contents)
    return name.startswith("blk.") or name in _HEADS


def _name(tensor: _Tensor) -> str:
    """Return a weight's name; copies on another device are called DEVICE#NAME#NUMBER."""
    name = bytes(tensor.name).decode("utf-8", "replace")
    return name.split("#")[1] if "#" in name else name


def _values(tensor: _Tensor, dtype: Any) -> np.ndarray:
    """Return a tensor's elements in the order of C, [ne3, ne2, ne1, ne0]; of a device's memory a copy."""
    shape, strides = tuple(reversed(tensor.ne)), tuple(reversed(tensor.nb))
    size = sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True)) + np.dtype(dtype).itemsize
    if ggml().ggml_backend_buffer_is_host(tensor.buffer):
        memory: Any = (ctypes.c_char * size).from_address(tensor.data)
    else:
        memory = ctypes.create_string_buffer(size)
        ggml().ggml_backend_tensor_get(ctypes.addressof(tensor), ctypes.addressof(memory), 0, size)
    return np.ndarray(shape, dtype, memory, strides=strides)


class _Operations(NamedTuple):
    """The numbers of ggml's products."""

    product: int
    by_expert: int


@cache
def _operations() -> _Operations:
    numbers = {ggml().ggml_op_name(number): number for number in range(_OPERATIONS)}
    return _Operations(numbers[b"MUL_MAT"], numbers[b"MUL_MAT_ID"])
