"""The error of each type in each tensor: the relative squared error of a layer's output, estimated on a sample of its rows.

Where x is what the layer reads, W its matrix and Q what a type makes of it, the error of the output is the sum over rows and
columns of E[x²] (W - Q)², by the importance matrix's E[x²] and without the products of different columns, as in llama.cpp's
quantizing. It is relative to the sum of E[x²] W²: norms scale what layers write, and in a few layers the first token of a text
alone makes that hundreds of times larger than in others. How much an error counts is measured apart.

ggml rounds x too before it multiplies it by quantized weights: to 8 bits, in blocks of 32 or, for most K-quants, of 256 elements
(ggml/src/ggml-cpu/ggml-cpu.c, `vec_dot_type`). One large element makes its whole block coarse, so the estimate takes the largest
E[x²] of a block for the square of its largest element; it is right up to a factor, which is measured apart as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from converter.checkpoint import Checkpoint
from converter.ggml import dequantize, quantize, widen
from converter.ggml_types import row_bytes
from converter.gguf_writer import aligned
from converter.importance import Importance
from converter.pipeline import sampled_rows
from converter.recipes import can_change
from models.family import OutputTensor
from models.gguf_constants import GGML_QUANT_SIZES
from models.gguf_constants import GGMLQuantizationType as Type

CANDIDATES = (
    *(Type.Q2_K, Type.Q3_K, Type.IQ4_XS, Type.IQ4_NL, Type.Q4_0, Type.Q4_K, Type.Q4_1),
    *(Type.Q5_0, Type.Q5_K, Type.Q5_1, Type.Q6_K, Type.Q8_0, Type.F16),
)
"""Types that every build of llama.cpp computes with, fast on every processor."""
_BLOCKS = (32, 256)
_BY_256 = (Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_XS)
_LEVELS = 127
_SAMPLE = 96
"""Rows of a tensor that are quantized for its estimate."""


@dataclass(frozen=True)
class TensorErrors:
    """The error of each type that a tensor may have."""

    name: str
    layer: int
    """-1: it belongs to none."""
    sizes: dict[Type, int]
    """Bytes in the file, with the padding after them."""
    errors: dict[Type, float]
    """Of the output, relative to it."""
    output: float
    """What the errors are relative to: the mean square of what the tensor writes."""
    rounding: dict[int, float] = field(default_factory=dict)
    """The error of rounding what the tensor is multiplied with, up to a factor, by the size of blocks; see `activation_block`."""


def tensor_errors(
    tensors: Sequence[OutputTensor],
    checkpoint: Checkpoint,
    importance: Importance,
    threads: int,
    on_tensor: Callable[[int], None],
) -> list[TensorErrors]:
    """Return the errors of all tensors that may be quantized; `on_tensor` hears how many are done, and may raise."""
    errors = []
    with ThreadPoolExecutor(threads, "sensitivity") as pool:
        for done, tensor in enumerate(tensors):
            on_tensor(done)
            if can_change(tensor):
                errors.append(_measured(tensor, checkpoint, importance, pool))
    return errors


def _measured(
    tensor: OutputTensor, checkpoint: Checkpoint, importance: Importance, pool: ThreadPoolExecutor
) -> TensorErrors:
    length, count = tensor.shape[-1], int(np.prod(tensor.shape[:-1]))
    weights = importance.of(tensor.name, tensor.shape)
    blocks = 1 if weights is None else len(weights)
    samples = [
        (None if weights is None else weights[place * blocks // count], rows)
        for place, rows in sampled_rows(tensor, checkpoint, _SAMPLE)
    ]
    energy = sum(_energy(rows, weight) for weight, rows in samples) or 1.0
    types = [type_ for type_ in CANDIDATES if length % GGML_QUANT_SIZES[type_][0] == 0]
    errors = pool.map(lambda type_: sum(_error(rows, type_, weight) for weight, rows in samples) / energy, types)
    match = tensor.name.split(".")
    return TensorErrors(
        name=tensor.name,
        layer=int(match[1]) if match[0] == "blk" else -1,
        sizes={type_: aligned(count * row_bytes(type_, length)) for type_ in types},
        errors=dict(zip(types, errors, strict=True)),
        output=energy / sum(len(rows) for _, rows in samples),
        rounding={block: sum(_rounding(rows, block, w) for w, rows in samples) / energy for block in _BLOCKS},
    )


def activation_block(type_: Type) -> int:
    """Return how many activations ggml rounds together for a type of weights; 0: none."""
    return 0 if type_ == Type.F16 else _BLOCKS[type_ in _BY_256]


def _rounding(rows: np.ndarray, block: int, weights: np.ndarray | None) -> float:
    """Return the error of rounding what rows are multiplied with; nothing where that was not measured."""
    if weights is None or rows.shape[1] % block:
        return 0.0
    largest = weights.reshape(-1, block).max(axis=1).repeat(block)
    return float((rows**2).sum(axis=0, dtype=np.float64) @ largest) / (12 * _LEVELS**2)


def _error(rows: np.ndarray, type_: Type, weights: np.ndarray | None) -> float:
    out = np.empty((len(rows), row_bytes(type_, rows.shape[1])), np.uint8)
    quantize(rows, type_, out, weights)
    back = widen(out.view(np.float16)) if type_ is Type.F16 else dequantize(out, type_, rows.shape[1])
    return _energy(rows - back, weights)


def _energy(rows: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the squares of what rows write, summed up."""
    columns = (rows**2).sum(axis=0, dtype=np.float64)
    return float(columns.sum() if weights is None else columns @ weights)
