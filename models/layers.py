"""Rules that turn checkpoint tensors into GGUF tensors, shared by the families.

A family lists its tensors with these; nothing here reads a file. All transforms move elements only and keep the dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from models.family import OutputTensor, Source, Transform


def as_is(name: str, source: str, *shape: int, exact: bool = False) -> OutputTensor:
    """Return a tensor that is copied unchanged."""
    return OutputTensor(name, shape, (Source(source, shape),), exact=exact)


def without_prefix(tensor: OutputTensor, prefix: str = "model.") -> OutputTensor:
    """Return a tensor whose sources lack a beginning: checkpoints of a model without its head have names without it."""
    return replace(tensor, sources=tuple(replace(s, name=s.name.removeprefix(prefix)) for s in tensor.sources))


def row_parts(
    names: tuple[str, ...],
    source: str,
    rows: tuple[int, ...],
    *columns: int,
    then: tuple[Transform | None, ...] = (),
) -> Iterator[OutputTensor]:
    """Cut a packed matrix (or bias) into blocks of rows: one output tensor for each name, `then` moved by its own rule."""
    packed = (sum(rows), *columns)
    start = 0
    for name, count, move in zip(names, rows, then or (None,) * len(names), strict=True):
        cut = partial(_rows, start=start, count=count, then=move)
        yield OutputTensor(name, (count, *columns), (Source(source, packed),), cut)
        start += count


def stacked(name: str, sources: tuple[str, ...], *shape: int) -> OutputTensor:
    """Stack tensors of one shape along a new first axis: the experts of a mixture."""
    return OutputTensor(name, (len(sources), *shape), tuple(Source(source, shape) for source in sources), _stack)


def is_stacked(tensor: OutputTensor) -> bool:
    """Tell whether a tensor was made by `stacked`."""
    return tensor.transform is _stack


def cut_rows(tensor: OutputTensor) -> slice | None:
    """Return which rows of its only source a tensor of `row_parts` is, where they are not moved; None: it is something else."""
    made = tensor.transform
    if not isinstance(made, partial) or made.func is not _rows or made.keywords["then"] is not None:
        return None
    start: int = made.keywords["start"]
    return slice(start, start + made.keywords["count"])


def rotary_pairs(heads: int, *, rotary: int | None = None) -> Transform:
    """Return the row order that llama.cpp's plain rotary wants for queries and keys.

    Hugging Face stores each head as two halves (x_i, x_{i+d/2} rotate together); llama.cpp's `LLAMA_ROPE_TYPE_NORM` rotates
    neighbours. Works on weights (heads * head_dim, in) and biases (heads * head_dim).

    Args:
        heads: heads in the matrix.
        rotary: leading dimensions of each head that rotate; None: all.
    """
    return partial(_rotary_pairs, heads=heads, rotary=rotary)


def row_order(tensor: OutputTensor, *, flipped: bool = False) -> np.ndarray | None:
    """Return which rows of its only source a tensor consists of, in which order; None: it is not made of whole rows.

    Found by trying the transform on a matrix of the same rows and two columns, whose elements are their own positions. What
    moves rows W -> P · W moves the left factor of a low-rank change alike: P · (B · A) = (P · B) · A.

    Args:
        tensor: one source, at most two dimensions.
        flipped: the source is stored as (in, out), and its columns count as rows.
    """
    if len(tensor.sources) != 1 or len(tensor.shape) != 2 or len(tensor.sources[0].shape) != 2:
        return None
    shape = tensor.sources[0].shape[::-1] if flipped else tensor.sources[0].shape
    if shape[1] != tensor.shape[1]:
        return None
    probe = np.arange(2 * shape[0]).reshape(shape[0], 2)
    if tensor.transform is not None:
        try:
            rows = tensor.transform(probe.T if flipped else probe)
        except (ValueError, IndexError):
            return None
    else:
        rows = probe.T if flipped else probe
    if rows.shape != (tensor.shape[0], 2) or not np.array_equal(rows[:, 0] + 1, rows[:, 1]):
        return None
    order = (rows[:, 0] // 2).astype(np.int64)
    return order if np.array_equal(order * 2, rows[:, 0]) else None


def stack_row_order(tensor: OutputTensor, *, flipped: bool = False) -> np.ndarray | None:
    """Return which rows of each matrix in its only source a stack of experts consists of; None: it is not made so.

    Args:
        tensor: one source, both [experts, ...].
        flipped: the source has matrices (in, out), and their columns count as rows.
    """
    if len(tensor.sources) != 1 or len(tensor.shape) != 3 or len(tensor.sources[0].shape) != 3:
        return None
    shape = tensor.sources[0].shape
    numbers = np.arange(shape[2]) if flipped else np.arange(shape[1])[:, None]
    probe = np.broadcast_to(numbers, shape)  # takes no memory, nor does a transform that cuts or turns it
    rows = probe if tensor.transform is None else tensor.transform(probe)
    if rows.shape != tensor.shape or not np.array_equal(rows[0, :, 0], rows[-1, :, -1]):
        return None
    return rows[0, :, 0]


def _rows(packed: np.ndarray, *, start: int, count: int, then: Transform | None) -> np.ndarray:
    part = packed[start : start + count]
    return part if then is None else then(part)


def _stack(*arrays: np.ndarray) -> np.ndarray:
    return np.stack(arrays)


def _rotary_pairs(weight: np.ndarray, *, heads: int, rotary: int | None) -> np.ndarray:
    per_head = weight.reshape(heads, weight.shape[0] // heads, *weight.shape[1:])
    size = per_head.shape[1] if rotary is None else rotary
    rotated = per_head[:, :size].reshape(heads, 2, size // 2, *weight.shape[1:]).swapaxes(1, 2)
    rotated = rotated.reshape(heads, size, *weight.shape[1:])
    if size == per_head.shape[1]:
        return rotated.reshape(weight.shape)
    return np.concatenate([rotated, per_head[:, size:]], axis=1).reshape(weight.shape)
