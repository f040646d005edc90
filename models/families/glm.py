"""GLM-4, GLM-Z1 and GLM-Edge in the layout of transformers: `glm` becomes llama.cpp's `chatglm`, `glm4` its `glm4`.

Source of the layout: transformers, models/glm/modeling_glm.py and models/glm4/modeling_glm4.py. Rotary pairs are neighbours, as
in llama.cpp's plain rotary, and gate and up are packed in one matrix: nothing is moved.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.chat.glm import GLM4
from models.config import Config
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor, Shape
from models.layers import as_is
from models.rotary import rotary_parameters
from models.vocab.chatglm import read_glm_vocabulary

_HALF = 0.5
"""Part of each head that rotates, where the configuration is silent."""


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    hidden = config.int("hidden_size", minimum=1)
    heads = config.int("num_attention_heads", minimum=1)
    head_size = _head_size(config)
    rows = config.int("vocab_size", minimum=1)
    if config.str("hidden_act", default="silu") not in ("silu", "swish"):
        raise UnsupportedModel(f"{config.origin} asks for the activation {config.data['hidden_act']!r}; GLM uses silu.")
    if not _is_glm4(config) and heads * head_size != hidden:
        raise UnsupportedModel(f"{config.origin}: head_dim times heads must be hidden_size for llama.cpp to run it.")
    return Blueprint(
        architecture="glm4" if _is_glm4(config) else "chatglm",
        parameters={
            "block_count": config.int("num_hidden_layers", minimum=1),
            "context_length": config.int("max_position_embeddings", default=131072),
            "embedding_length": hidden,
            "feed_forward_length": config.int("intermediate_size", minimum=1),
            "attention.head_count": heads,
            "attention.head_count_kv": config.int("num_key_value_heads", default=heads, minimum=1),
            "attention.key_length": head_size,
            "attention.value_length": head_size,
            "attention.layer_norm_rms_epsilon": config.float("rms_norm_eps", default=1.5625e-07),
            "rope.dimension_count": int(head_size * _rotating_part(config)),
            "vocab_size": rows,
            **rotary_parameters(config),
        },
        tensors=_tensors(config, hidden, rows),
        vocabulary_size=rows,
        read_vocabulary=read_glm_vocabulary,
        chat=GLM4,
    )


def _is_glm4(config: Config) -> bool:
    return any(name.lower() == "glm4forcausallm" for name in config.classes)


def _head_size(config: Config) -> int:
    hidden, heads = config.int("hidden_size"), config.int("num_attention_heads", minimum=1)
    return config.int("head_dim", default=hidden // heads, minimum=4)


def _rotating_part(config: Config) -> float:
    default = config.float("partial_rotary_factor", default=_HALF)
    return config.section("rope_parameters").float("partial_rotary_factor", default=default)


def _tensors(config: Config, hidden: int, rows: int) -> tuple[OutputTensor, ...]:
    tensors = [
        as_is("token_embd.weight", "model.embed_tokens.weight", rows, hidden),
        as_is("output_norm.weight", "model.norm.weight", hidden),
    ]
    if not config.bool("tie_word_embeddings", default=False):
        tensors.append(as_is("output.weight", "lm_head.weight", rows, hidden))
    for layer in range(config.int("num_hidden_layers")):
        tensors += _layer(config, layer, hidden)
    return tuple(tensors)


def _layer(config: Config, layer: int, hidden: int) -> list[OutputTensor]:
    heads = config.int("num_attention_heads")
    queries = heads * _head_size(config)
    keys = config.int("num_key_value_heads", default=heads) * _head_size(config)
    inner = config.int("intermediate_size")
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    projections = (("q", queries), ("k", keys), ("v", keys))
    biases = projections if config.bool("attention_bias", default=False) else ()
    norms = [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")]
    if _is_glm4(config):
        norms += [("post_attention_norm", "post_self_attn_layernorm"), ("post_ffw_norm", "post_mlp_layernorm")]
    return [
        *(as_is(f"{target}{name}.weight", f"{source}{own}.weight", hidden) for name, own in norms),
        *(
            as_is(f"{target}attn_{part}.weight", f"{source}self_attn.{part}_proj.weight", size, hidden)
            for part, size in projections
        ),
        *(as_is(f"{target}attn_{part}.bias", f"{source}self_attn.{part}_proj.bias", size) for part, size in biases),
        as_is(f"{target}attn_output.weight", f"{source}self_attn.o_proj.weight", hidden, queries),
        as_is(f"{target}ffn_up.weight", f"{source}mlp.gate_up_proj.weight", 2 * inner, hidden),
        as_is(f"{target}ffn_down.weight", f"{source}mlp.down_proj.weight", hidden, inner),
    ]


FAMILY = Family(
    name="glm",
    title="GLM-4 (transformers)",
    classes=("GlmForCausalLM", "Glm4ForCausalLM"),
    blueprint=_blueprint,
)
