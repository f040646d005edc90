"""`--quant auto`: the family's usual mixture, or the largest smaller one that fits into memory.

A first rule: exact weights, the key-value cache of a usual context, and a fixed sum for buffers and the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from gguf.constants import GGMLQuantizationType

from converter.ggml import row_bytes
from converter.recipes import Recipe, find_recipe, recipe_names
from models.family import Metadata, OutputTensor

_CONTEXT = 4096
_BUFFERS = 400 * 1024 * 1024
_SMALLER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K")


def automatic_recipe(
    default: str,
    tensors: Sequence[OutputTensor],
    parameters: Metadata,
    types_of: Callable[[Recipe], Sequence[GGMLQuantizationType]],
    memory: int,
) -> tuple[Recipe, str | None]:
    """Choose a mixture.

    Args:
        default: the family's usual one.
        tensors: what will be written.
        parameters: hyperparameters without the architecture's prefix.
        types_of: each tensor's type in a mixture.
        memory: bytes that the model may take; 0: not known.

    Returns:
        the mixture, and a sentence for the person where it is not the usual one or too large all the same.
    """
    recipe = find_recipe(default)
    if not memory:
        return recipe, None
    rank = recipe_names().index
    candidates = [recipe, *(find_recipe(name) for name in _SMALLER if rank(name) > rank(recipe.name))]
    others = cache_bytes(parameters) + _BUFFERS
    for candidate in candidates:
        need = others + _weights(tensors, types_of(candidate))
        if need <= memory:
            if candidate is recipe:
                return recipe, None
            return candidate, (
                f"{candidate.name} was chosen instead of {recipe.name}, because {memory / 1e9:.1f} GB of memory are free."
            )
    return candidates[-1], (
        f"Even {candidates[-1].name} needs about {need / 1e9:.1f} GB of memory with {_CONTEXT} tokens of context, and "
        f"{memory / 1e9:.1f} GB are free; choose a smaller model or close other programs."
    )


def cache_bytes(parameters: Metadata, context: int = _CONTEXT) -> int:
    """Return the bytes of an F16 key-value cache; recurrent models, which name no heads, have none."""
    layers = _number(parameters.get("block_count"))
    heads = parameters.get("attention.head_count", 0)
    kv_heads = parameters.get("attention.head_count_kv", heads)
    total = sum(map(_number, kv_heads)) if isinstance(kv_heads, list) else layers * _number(kv_heads)
    size = _number(parameters.get("embedding_length")) // max(1, _number(heads))
    key = _number(parameters.get("attention.key_length")) or size
    value = _number(parameters.get("attention.value_length")) or size
    return 2 * total * (key + value) * context


def _weights(tensors: Sequence[OutputTensor], types: Sequence[GGMLQuantizationType]) -> int:
    return sum(
        row_bytes(type_, tensor.shape[-1]) * prod(tensor.shape[:-1])
        for tensor, type_ in zip(tensors, types, strict=True)
    )


def _number(value: object) -> int:
    """Return a whole number of an untrusted GGUF file, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
