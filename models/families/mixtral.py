"""Mixtral: Mistral with a mixture of experts in every layer; llama.cpp's `llama` computes it.

Source of the layout: transformers, models/mixtral/modeling_mixtral.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    expert_counts,
    experts,
    norms,
    read_sizes,
    require_silu,
)
from models.family import Blueprint, Family
from models.rotary import read_rotary, without_sliding_window


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    window = config.int("sliding_window", default=0)
    rotary = read_rotary(config, sizes.head_dim)
    if window:
        rotary = rotary.limited(window, without_sliding_window(window))
    count = config.int("num_local_experts", minimum=1)
    mixture = expert_counts(config, count, config.int("num_experts_per_tok", minimum=1))
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True)
        tensors += experts(
            layer, count, sizes.intermediate_size, sizes.hidden, source="block_sparse_moe.", names=("w1", "w3", "w2")
        )
    return Blueprint(
        architecture="llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | mixture,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="mixtral",
    title="Mixtral",
    classes=("MixtralForCausalLM",),
    blueprint=_blueprint,
)
