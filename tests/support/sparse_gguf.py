"""GGUF files of real models' shapes without their weights: the head, then a hole of the right size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf.constants import GGMLQuantizationType

from converter.gguf_writer import Layout, lay_out
from converter.recipes import find_recipe, tensor_types
from models.config import Config
from models.families import family_of
from models.family import Blueprint, Metadata


def sparse_gguf(
    config: Mapping[str, Any],
    quant: str,
    path: Path,
    tokenizer: Metadata | None = None,
    embedding: GGMLQuantizationType | None = None,
) -> tuple[Blueprint, Layout]:
    """Write the file that a checkpoint of this configuration becomes, all weights zero; it takes no room on most disks.

    `embedding`: the type of the token embedding, where that is not the recipe's.
    """
    parsed = Config(config)
    blueprint = family_of(parsed).blueprint(parsed, None)
    recipe = find_recipe(quant)
    types = tensor_types(recipe, blueprint.tensors, blueprint.architecture, blueprint.parameters)
    pairs: Metadata = {"general.architecture": blueprint.architecture, "general.file_type": int(recipe.file_type)}
    pairs |= {f"{blueprint.architecture}.{key}": value for key, value in blueprint.parameters.items()}
    pairs |= blueprint.metadata | (tokenizer or {"tokenizer.ggml.model": "none"})
    if embedding is not None:
        types = [
            embedding if tensor.name == "token_embd.weight" else type_
            for tensor, type_ in zip(blueprint.tensors, types, strict=True)
        ]
    entries = [(tensor.name, tensor.shape, type_) for tensor, type_ in zip(blueprint.tensors, types, strict=True)]
    layout = lay_out(pairs, entries)
    with path.open("wb") as file:
        file.write(layout.header)
        file.truncate(layout.size)
    return blueprint, layout
