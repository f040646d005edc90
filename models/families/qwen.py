"""Qwen, the first generation: 1.8B, 7B, 14B and 72B, Base and Chat.

Source of the layout: the publisher's modeling_qwen.py. Beyond `seq_length` its code multiplies queries by log n
(`use_logn_attn`) and chooses the rotary base by the length of the prompt (`use_dynamic_ntk`); llama.cpp does neither, so its
context ends there, and our own runner goes on.
"""

from __future__ import annotations

from dataclasses import replace

from models.chat.published import qwen_chat
from models.config import Config
from models.decoder import Shapes, Sizes, decoder_parameters, embeddings, linear, read_sizes
from models.dynamic_rotary import FIXED, QWEN, SMALLEST, DynamicRotary
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint, Family, OutputTensor
from models.layers import as_is
from models.rotary import Rotary, read_rotary

_NAMES_OF_2023 = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_positions": "max_position_embeddings",
    "ffn_hidden_size": "intermediate_size",
    "rotary_emb_base": "rope_theta",
    "kv_channels": "head_dim",
}
"""The words of the first repositories (and of all, for the last two) -> those of transformers."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    config = _renamed(config)
    both = read_sizes(config)
    if both.queries != both.hidden or not config.bool("no_bias", default=True):
        raise UnsupportedModel(
            "{path}: llama.cpp computes Qwen with heads as wide as the model and without further biases.",
            path=config.origin,
        )
    if not config.bool("scale_attn_weights", default=True):
        raise UnsupportedModel(
            "{path}: llama.cpp computes Qwen with scores divided by the root of a head's width.", path=config.origin
        )
    sizes = replace(
        both, intermediate_size=both.intermediate_size // 2
    )  # the configuration counts gate and up together
    rotary_dim = int(sizes.head_dim * config.float("rotary_pct", default=1.0, minimum=0.01, maximum=1))
    rotary = _with_long_texts(config, read_rotary(config, rotary_dim, factors=False), rotary_dim)
    names = ("transformer.wte.weight", "transformer.ln_f.weight", "lm_head.weight")
    tensors = embeddings(
        sizes, shapes, tied=config.bool("tie_word_embeddings", default=False), always_head=True, names=names
    )
    for layer in range(sizes.layers):
        tensors += _layer(sizes, layer)
    return Blueprint(
        architecture="qwen",
        parameters=decoder_parameters(config, both) | rotary.parameters | {"rope.dimension_count": rotary_dim},
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        chat=qwen_chat(config),
        warnings=rotary.warnings,
    )


def _renamed(config: Config) -> Config:
    renamed = {new: config.data[old] for old, new in _NAMES_OF_2023.items() if old in config}
    return Config({**renamed, **config.data}, config.origin)


def _with_long_texts(config: Config, rotary: Rotary, rotary_dim: int) -> Rotary:
    grows, log_n = (config.bool(name, default=False) for name in ("use_dynamic_ntk", "use_logn_attn"))
    if not grows and not log_n:
        return rotary
    if rotary_dim < SMALLEST:
        raise BadFile(
            "{path}: {rotary_dim} rotating dimensions of a head cannot be; download it again.",
            path=config.origin,
            rotary_dim=rotary_dim,
        )
    length = config.int("seq_length", default=2048, minimum=2)
    base = float(rotary.parameters["rope.freq_base"])
    return rotary.dynamic(DynamicRotary(QWEN if grows else FIXED, length, base, rotary_dim, log_n=log_n))


def _layer(sizes: Sizes, layer: int) -> list[OutputTensor]:
    source, target = f"transformer.h.{layer}.", f"blk.{layer}."
    hidden, intermediate_size = sizes.hidden, sizes.intermediate_size
    return [
        as_is(f"{target}attn_norm.weight", f"{source}ln_1.weight", hidden),
        *linear(f"{target}attn_qkv", f"{source}attn.c_attn", (3 * hidden, hidden), None, bias=True),
        as_is(f"{target}attn_output.weight", f"{source}attn.c_proj.weight", hidden, hidden),
        as_is(f"{target}ffn_norm.weight", f"{source}ln_2.weight", hidden),
        as_is(f"{target}ffn_gate.weight", f"{source}mlp.w2.weight", intermediate_size, hidden),
        as_is(f"{target}ffn_up.weight", f"{source}mlp.w1.weight", intermediate_size, hidden),
        as_is(f"{target}ffn_down.weight", f"{source}mlp.c_proj.weight", hidden, intermediate_size),
    ]


FAMILY = Family(
    name="qwen",
    title="Qwen (first generation)",
    classes=("QWenLMHeadModel",),
    model_types=("qwen",),
    blueprint=_blueprint,
)
