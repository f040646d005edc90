"""GLM-4.5, GLM-4.5-Air, GLM-4.6 and GLM-4.7: mixtures of experts beside a shared one, after DeepSeek-V3's way of choosing.

Source of the layout: transformers, models/glm4_moe/modeling_glm4_moe.py. Half of each head rotates, as two halves. The layer
beyond `num_hidden_layers` guesses a further token; it is left out.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    head_norms,
    norms,
    read_sizes,
    require_silu,
)
from models.family import Blueprint, Family, OutputTensor
from models.rotary import read_rotary
from models.shared_experts import feed_forward, read_routing

_ROTARY_PART = 0.5
"""Part of each head that rotates, where the configuration is silent."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    config = config if "first_k_dense_replace" in config else config.changed(first_k_dense_replace=1)
    require_silu(config)
    sizes = read_sizes(config)
    outside = config.float("partial_rotary_factor", default=_ROTARY_PART, minimum=0.01, maximum=1)
    scaling = config.section("rope_parameters", "rope_scaling")
    rotary_dim = int(sizes.head_dim * scaling.float("partial_rotary_factor", default=outside, minimum=0.01, maximum=1))
    rotary = read_rotary(config, rotary_dim, factors=False)
    is_normed = config.bool("use_qk_norm", default=False)
    bias = config.bool("attention_bias", default=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        before, after = norms(layer, sizes.hidden)
        tensors += [before, OutputTensor(f"blk.{layer}.post_attention_norm.weight", after.shape, after.sources)]
        tensors += attention(sizes, layer, shapes, interleaved=False, bias=bias, output_bias=False)
        tensors += head_norms(sizes, layer) if is_normed else ()
        tensors += feed_forward(config, sizes, layer, shapes, sigmoid=True)
    return Blueprint(
        architecture="glm4moe",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | read_routing(config, sigmoid=True)
        | {
            "rope.dimension_count": rotary_dim,
            "leading_dense_block_count": config.int("first_k_dense_replace"),
        },
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="glm4_moe",
    title="GLM-4.5 to GLM-4.7",
    classes=("Glm4MoeForCausalLM",),
    blueprint=_blueprint,
)
