"""Shared by the GLM families: the publisher's 8- and 4-bit weights.

Source: THUDM/chatglm-6b, quantization.py. A quantized matrix `X.weight` [rows, columns] is stored as int8, or as two signed 4-bit
numbers in each int8 [rows, columns / 2], the even column in the high half; `X.weight_scale` [rows] widens it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from models.decoder import Shapes
from models.family import OutputTensor, Shape, Source, Transform

_SCALE = "_scale"


def matrix(
    name: str,
    source: str,
    shape: Shape,
    shapes: Shapes,
    *,
    stored: Shape | None = None,
    rows: Transform | None = None,
) -> OutputTensor:
    """Return a matrix, widened to float32 where the checkpoint holds the publisher's quantized form.

    Args:
        name: of the output.
        source: the checkpoint's tensor.
        shape: of the output.
        shapes: of all of the checkpoint's tensors, None without a checkpoint.
        stored: of the source when it is not quantized; None: the output's.
        rows: chooses and orders rows of the source; None: all as they are.
    """
    full_shape = shape if stored is None else stored
    if shapes is None or source + _SCALE not in shapes:
        return OutputTensor(name, shape, (Source(source, full_shape),), rows)
    is_packed = shapes.get(source) == (full_shape[0], full_shape[1] // 2)
    held = (full_shape[0], full_shape[1] // 2) if is_packed else full_shape
    sources = (Source(source, held, integers=True), Source(source + _SCALE, (full_shape[0],)))
    widened = partial(_widened, packed=is_packed)
    if rows is None:
        return OutputTensor(name, shape, sources, widened, by_rows=True)
    return OutputTensor(name, shape, sources, partial(_chosen, rows=rows, then=widened))


def _chosen(weight: np.ndarray, scale: np.ndarray, *, rows: Transform, then: Transform) -> np.ndarray:
    return then(rows(weight), rows(scale))


def _widened(weight: np.ndarray, scale: np.ndarray, *, packed: bool) -> np.ndarray:
    if packed:
        weight = np.stack([weight >> 4, (weight << 4) >> 4], axis=-1).reshape(len(weight), -1)
    return weight.astype(np.float32) * scale.astype(np.float32)[:, None]
