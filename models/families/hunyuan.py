"""Hunyuan's dense models: 0.5B, 1.8B, 4B and 7B, and the translators Hunyuan-MT.

Source of the layout: transformers, models/hunyuan_v1_dense. Queries and keys are normed after they are rotated. "dynamic" scaling
with an `alpha` only makes the rotary base larger, for any length of text.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    head_norms,
    norms,
    read_sizes,
    require_silu,
)
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.rotary import Rotary, read_rotary, rotary_base

_CONTEXT = 262144
"""What the publisher promises of models with an `alpha`; some configurations say 32768."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    if not config.bool("use_qk_norm", default=True):
        raise UnsupportedModel(
            "{path}: llama.cpp computes Hunyuan with norms of queries and keys only.", path=config.origin
        )
    sizes = read_sizes(config)
    rotary = _read_rotary(config, sizes)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False, bias=config.bool("attention_bias", default=False))
        tensors += head_norms(sizes, layer, ("query_layernorm", "key_layernorm"))
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="hunyuan-dense",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _read_rotary(config: Config, sizes: Sizes) -> Rotary:
    """Return the positions. Source of `alpha`: the publisher's modeling_hunyuan.py (HunYuanDynamicNTKAlphaRotaryEmbedding)."""
    scaling = config.section("rope_parameters", "rope_scaling")
    alpha = scaling.float("alpha", default=0.0, minimum=0, maximum=1e6)
    if scaling.str("rope_type", "type", default="default").lower() != "dynamic" or not alpha:
        return read_rotary(config, sizes.head_dim, factors=False)
    base = rotary_base(config) * alpha ** (sizes.head_dim / max(sizes.head_dim - 2, 1))
    length = max(_CONTEXT, config.int("max_position_embeddings", default=_CONTEXT, minimum=1))
    return Rotary({"context_length": length, "rope.freq_base": min(base, 1e30)})


FAMILY = Family(
    name="hunyuan",
    title="Hunyuan (dense)",
    classes=("HunYuanDenseV1ForCausalLM",),
    blueprint=_blueprint,
)
