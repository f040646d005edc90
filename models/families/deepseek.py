"""DeepSeekMoE, the 16B: LLaMA's attention, and many small experts beside two that all tokens share.

Source of the layout: Dai et al. 2024 and the publisher's modeling_deepseek.py of deepseek-moe-16b-base. llama.cpp rotates
neighbours in this architecture, so queries and keys are reordered.
"""

from __future__ import annotations

from models.chat.published import deepseek_chat
from models.config import Config
from models.decoder import (
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    norms,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.rotary import read_rotary
from models.shared_experts import feed_forward, read_routing


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    _refuse_other_mixtures(config)
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    bias = config.bool("attention_bias", default=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True, bias=bias)
        tensors += feed_forward(config, sizes, layer, shapes, sigmoid=False)
    return Blueprint(
        architecture="deepseek",
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | read_routing(config, sigmoid=False)
        | {"leading_dense_block_count": config.int("first_k_dense_replace", default=0)},
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        chat=deepseek_chat(config),
        warnings=rotary.warnings,
    )


def _refuse_other_mixtures(config: Config) -> None:
    """Refuse what the publisher's code can be told, and llama.cpp computes one way only."""
    for name, value, wanted in (
        ("moe_layer_freq", config.int("moe_layer_freq", default=1), 1),
        ("scoring_func", config.str("scoring_func", default="softmax")[:40], "softmax"),
        ("norm_topk_prob", config.bool("norm_topk_prob", default=False), False),
    ):
        if value != wanted:
            raise UnsupportedModel(
                "{path}: llama.cpp computes this family with {key!r} {wanted} only.",
                path=config.origin,
                key=name,
                wanted=wanted,
            )


FAMILY = Family(
    name="deepseek",
    title="DeepSeekMoE",
    classes=("DeepseekForCausalLM",),
    model_types=("deepseek",),
    blueprint=_blueprint,
)
