"""Qwen1.5, Qwen2 and Qwen2.5, and what is published in their layout: the R1 distills of Qwen, Baichuan-M2.

Source of the layout: transformers, models/qwen2/modeling_qwen2.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    norms,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.family import Blueprint, Family
from models.rotary import read_windowed_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=True)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False, bias=True, output_bias=False)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="qwen2",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="qwen2",
    title="Qwen1.5, Qwen2 and Qwen2.5",
    classes=("Qwen2ForCausalLM",),
    blueprint=_blueprint,
)
