"""Qwen3's mixtures of experts: Qwen3-30B-A3B, Qwen3-235B-A22B and Qwen3-Coder.

Source of the layout: transformers, models/qwen3_moe/modeling_qwen3_moe.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    experts,
    head_norms,
    norms,
    read_mixture,
    read_sizes,
    require_silu,
)
from models.family import Blueprint, Family
from models.rotary import read_windowed_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    mixture = read_mixture(config, normalised=True)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=False, first_window=0)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False)
        tensors += head_norms(sizes, layer)
        tensors += experts(layer, mixture.count, mixture.intermediate_size, sizes.hidden)
    return Blueprint(
        architecture="qwen3moe",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | mixture.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="qwen3_moe",
    title="Qwen3 MoE",
    classes=("Qwen3MoeForCausalLM",),
    blueprint=_blueprint,
)
