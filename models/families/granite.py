"""Granite 3, dense: LLaMA's layout with four multipliers.

Source: transformers, models/granite/modeling_granite.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    granite_multipliers,
    norms,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    rotary = read_rotary(config, sizes.head_dim)
    bias = config.bool("attention_bias", default=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True, bias=bias)
        tensors += gated_mlp(sizes, layer, shapes, bias=config.bool("mlp_bias", default=False))
    return Blueprint(
        architecture="granite",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | granite_multipliers(config),
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="granite",
    title="Granite 3 (dense)",
    classes=("GraniteForCausalLM",),
    blueprint=_blueprint,
)
