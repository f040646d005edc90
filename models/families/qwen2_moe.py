"""Qwen's first mixtures of experts: Qwen1.5-MoE-A2.7B and Qwen2-57B-A14B, whose experts stand beside one that all tokens share.

Source of the layout: transformers, models/qwen2_moe/modeling_qwen2_moe.py.
"""

from __future__ import annotations

import numpy as np

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    experts,
    gated_mlp,
    norms,
    read_mixture,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.family import Blueprint, Family, OutputTensor, Source
from models.rotary import read_windowed_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    mixture = read_mixture(config, normalised=False)
    shared = config.int("shared_expert_intermediate_size", minimum=1)
    rotary = read_windowed_rotary(config, sizes.head_size, dense=False)
    tied = config.bool("tie_word_embeddings", default=False)
    tensors = embeddings(sizes, shapes, tied=tied, always_head=True)
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(
            sizes, layer, shapes, paired=False, bias=config.bool("qkv_bias", default=True), output_bias=False
        )
        tensors += experts(layer, mixture.count, mixture.inner, sizes.hidden)
        tensors += gated_mlp(sizes, layer, shapes, inner=shared, part="shared_expert.", suffix="_shexp")
        tensors.append(_shared_gate(layer, sizes.hidden))
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


def _shared_gate(layer: int, hidden: int) -> OutputTensor:
    """Return the vector whose product with a token, through a sigmoid, weighs the shared expert."""
    source = Source(f"model.layers.{layer}.mlp.shared_expert_gate.weight", (1, hidden))
    return OutputTensor(f"blk.{layer}.ffn_gate_inp_shexp.weight", (hidden,), (source,), np.ravel)


FAMILY = Family(
    name="qwen2_moe",
    title="Qwen1.5-MoE and Qwen2-MoE",
    classes=("Qwen2MoeForCausalLM",),
    blueprint=_blueprint,
)
