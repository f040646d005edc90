"""LLaMA 1, 2 and 3.x, and every model published in their layout.

Among them are Llama2-Chinese, Atom, Chinese-LLaMA and Chinese-Alpaca with their weights merged, Llama-3-Chinese, Yi, DeepSeek-LLM
and DeepSeek-Coder, and the R1 distills of Llama.

Source of the layout: transformers, models/llama/modeling_llama.py. Yi as first published (November 2023) has a class of its own
and other names of norms; its repositories of today are LLaMA's in every word.
"""

from __future__ import annotations

from models.chat.published import llama_chat
from models.config import Config
from models.decoder import (
    NORM_NAMES,
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    gated_mlp,
    norms,
    read_sizes,
    require_silu,
)
from models.dynamic_rotary import TRANSFORMERS
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    rotary = read_rotary(config, sizes.head_dim, dynamic=TRANSFORMERS)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden, _norm_names(config))
        tensors += attention(
            sizes, layer, shapes, interleaved=True, bias=config.bool("attention_bias", "bias", default=False)
        )
        tensors += gated_mlp(sizes, layer, shapes, bias=config.bool("mlp_bias", default=False))
    return Blueprint(
        architecture="llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        chat=llama_chat(config),
        warnings=rotary.warnings,
    )


def _norm_names(config: Config) -> tuple[str, str]:
    return ("ln1", "ln2") if "YiForCausalLM" in config.classes else NORM_NAMES


FAMILY = Family(
    name="llama",
    title="LLaMA",
    classes=("LlamaForCausalLM", "LLaMAForCausalLM", "YiForCausalLM"),
    blueprint=_blueprint,
)
