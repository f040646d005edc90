"""Qwen3, dense, and what is published in its layout: DeepSeek-R1-0528-Qwen3-8B.

Source of the layout: transformers, models/qwen3/modeling_qwen3.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    head_norms,
    norms,
    read_sizes,
    require_silu,
)
from models.family import Blueprint, Family
from models.rotary import read_windowed_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config, head_dim=128)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=True)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False)
        tensors += head_norms(sizes, layer)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="qwen3",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="qwen3",
    title="Qwen3",
    classes=("Qwen3ForCausalLM",),
    blueprint=_blueprint,
)
