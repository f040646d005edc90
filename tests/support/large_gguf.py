"""GGUF files of any size with random weights: a few random rows of each type, written again and again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType as Type

from converter.ggml import quantize, row_bytes
from converter.gguf_writer import PlacedTensor, lay_out
from converter.recipes import find_recipe, tensor_types
from models.family import OutputTensor

_ROWS = 256


def write_large_gguf(
    path: Path, architecture: str, parameters: dict[str, Any], shapes: dict[str, tuple[int, ...]], quant: str
) -> Path:
    """Write tensors of the given row-major shapes in the types that the mixture `quant` gives them; norms are near one."""
    recipe = find_recipe(quant)
    tensors = [OutputTensor(name, shape, ()) for name, shape in shapes.items()]
    types = tensor_types(recipe, tensors, architecture, parameters)
    metadata = {
        "general.architecture": architecture,
        "general.file_type": int(recipe.file_type),
        **{f"{architecture}.{key}": value for key, value in parameters.items()},
        "tokenizer.ggml.model": "none",
    }
    layout = lay_out(metadata, [(t.name, t.shape, type_) for t, type_ in zip(tensors, types, strict=True)])
    rng = np.random.default_rng(0)
    made: dict[tuple[Type, int], bytes] = {}
    with path.open("wb") as file:
        file.write(layout.head)
        for placed in layout.tensors:
            file.seek(len(layout.head) + placed.offset)
            for chunk in _chunks(placed, made, rng):
                file.write(chunk)
        file.truncate(layout.size)
    return path


def _chunks(placed: PlacedTensor, made: dict[tuple[Type, int], bytes], rng: np.random.Generator) -> Iterable[bytes]:
    length = placed.shape[-1]
    if len(placed.shape) == 1:
        center = 1.0 if placed.name.endswith("norm.weight") else 0.0
        yield (center + 0.05 * rng.standard_normal(length)).astype(np.float32).tobytes()
        return
    key = placed.type, length
    if key not in made:
        rows = (rng.standard_normal((_ROWS, length)) / np.sqrt(length)).astype(np.float32)
        out = np.empty((_ROWS, row_bytes(placed.type, length)), np.uint8)
        quantize(rows, placed.type, out)
        made[key] = out.tobytes()
    left = placed.size
    while left:
        size = min(left, len(made[key]))
        yield made[key][:size]
        left -= size


def chatglm1_shapes(hidden: int, inner: int, layers: int, rows: int) -> dict[str, tuple[int, ...]]:
    """Return a ChatGLM-6B's tensors."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (rows, hidden), "output.weight": (rows, hidden)}
    for layer in range(layers):
        block = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes |= {f"{block}{name}.weight": (hidden, hidden), f"{block}{name}.bias": (hidden,)}
        shapes |= {f"{block}ffn_up.weight": (inner, hidden), f"{block}ffn_up.bias": (inner,)}
        shapes |= {f"{block}ffn_down.weight": (hidden, inner), f"{block}ffn_down.bias": (hidden,)}
        shapes |= {f"{block}{name}.{part}": (hidden,) for name in ("attn_norm", "ffn_norm") for part in _AFFINE}
    return shapes | {f"output_norm.{part}": (hidden,) for part in _AFFINE}


def llama_shapes(hidden: int, inner: int, layers: int, rows: int) -> dict[str, tuple[int, ...]]:
    """Return a LLaMA's tensors, as many key-value heads as heads."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (rows, hidden), "output.weight": (rows, hidden)}
    for layer in range(layers):
        block = f"blk.{layer}."
        shapes |= {f"{block}{name}.weight": (hidden, hidden) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        shapes |= {f"{block}{name}.weight": (inner, hidden) for name in ("ffn_gate", "ffn_up")}
        shapes |= {f"{block}ffn_down.weight": (hidden, inner)}
        shapes |= {f"{block}{name}.weight": (hidden,) for name in ("attn_norm", "ffn_norm")}
    return shapes | {"output_norm.weight": (hidden,)}


_AFFINE = ("weight", "bias")
