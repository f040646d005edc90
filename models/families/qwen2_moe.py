"""Qwen's first mixtures of experts: Qwen1.5-MoE-A2.7B and Qwen2-57B-A14B, whose experts stand beside one that all tokens share.

Source of the layout: transformers, models/qwen2_moe/modeling_qwen2_moe.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    experts,
    norms,
    read_mixture,
    read_sizes,
    require_mixture,
    require_silu,
    require_square_attention,
    shared_expert,
)
from models.family import Blueprint, Family
from models.rotary import read_windowed_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    require_mixture(config, normalised=False)
    mixture = read_mixture(config)
    shared = config.int("shared_expert_intermediate_size", minimum=1)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=False)
    tied = config.bool("tie_word_embeddings", default=False)
    tensors = embeddings(sizes, shapes, tied=tied, always_head=True)
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(
            sizes, layer, shapes, interleaved=False, bias=config.bool("qkv_bias", default=True), output_bias=False
        )
        tensors += experts(layer, mixture.count, mixture.intermediate_size, sizes.hidden)
        tensors += shared_expert(sizes, layer, shapes, intermediate_size=shared)
    return Blueprint(
        architecture="qwen2moe",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | mixture.parameters
        | {"expert_shared_feed_forward_length": shared},
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="qwen2_moe",
    title="Qwen1.5-MoE and Qwen2-MoE",
    classes=("Qwen2MoeForCausalLM",),
    blueprint=_blueprint,
)
