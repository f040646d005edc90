"""GLM-4, GLM-Z1 and GLM-Edge in the layout of transformers: `glm` becomes llama.cpp's `chatglm`, `glm4` its `glm4`.

Source of the layout: transformers, models/glm/modeling_glm.py and models/glm4/modeling_glm4.py. Rotary pairs are neighbours, as
in llama.cpp's plain rotary, and gate and up are packed in one matrix: nothing is moved.
"""

from __future__ import annotations

from models.chat.glm import GLM4, is_base
from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    attention,
    decoder_parameters,
    embeddings,
    norms,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.family import Blueprint, Family, OutputTensor
from models.layers import as_is
from models.rotary import read_rotary
from models.vocab.chatglm import read_glm_vocabulary

_EPSILON = 1.5625e-07
_HALF = 0.5
"""Part of each head that rotates, where the configuration is silent."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    twice_normed = any(name.lower() == "glm4forcausallm" for name in config.classes)
    if not twice_normed:
        require_square_attention(config, sizes)
    rotating = int(sizes.head_dim * _rotating_part(config))
    rotary = read_rotary(config, rotating, factors=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False, bias=_bias(config), output_bias=False)
        tensors += _mlp(sizes, layer)
        tensors += _later_norms(sizes, layer) if twice_normed else []
    parameters = decoder_parameters(config, sizes)
    parameters["attention.layer_norm_rms_epsilon"] = config.float("rms_norm_eps", default=_EPSILON)
    parameters["rope.dimension_count"] = rotating
    return Blueprint(
        architecture="glm4" if twice_normed else "chatglm",
        parameters=parameters | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        read_vocabulary=read_glm_vocabulary,
        chat=None if is_base(config) else GLM4,
        warnings=rotary.warnings,
    )


def _bias(config: Config) -> bool:
    return config.bool("attention_bias", default=False)


def _rotating_part(config: Config) -> float:
    default = config.float("partial_rotary_factor", default=_HALF, minimum=0.01, maximum=1)
    return config.section("rope_parameters").float("partial_rotary_factor", default=default, minimum=0.01, maximum=1)


def _mlp(sizes: Sizes, layer: int) -> list[OutputTensor]:
    source, target = f"model.layers.{layer}.mlp.", f"blk.{layer}."
    return [
        as_is(f"{target}ffn_up.weight", f"{source}gate_up_proj.weight", 2 * sizes.intermediate_size, sizes.hidden),
        as_is(f"{target}ffn_down.weight", f"{source}down_proj.weight", sizes.hidden, sizes.intermediate_size),
    ]


def _later_norms(sizes: Sizes, layer: int) -> list[OutputTensor]:
    """Return the norms of what attention and MLP add."""
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    return [
        as_is(f"{target}post_attention_norm.weight", f"{source}post_self_attn_layernorm.weight", sizes.hidden),
        as_is(f"{target}post_ffw_norm.weight", f"{source}post_mlp_layernorm.weight", sizes.hidden),
    ]


FAMILY = Family(
    name="glm",
    title="GLM-4 (transformers)",
    classes=("GlmForCausalLM", "Glm4ForCausalLM"),
    blueprint=_blueprint,
)
