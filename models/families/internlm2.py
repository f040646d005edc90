"""InternLM2 and InternLM2.5, whose queries, keys and values are packed group by group.

Source of the layout: the publisher's modeling_internlm2.py. A group is the query heads that share a key head, then that key head,
then its value head.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from models.chat.published import internlm2_chat
from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    decoder_parameters,
    embeddings,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.dynamic_rotary import TRANSFORMERS
from models.errors import UnsupportedModel
from models.family import Blueprint, Family, OutputTensor, Source
from models.layers import as_is, rotary_pairs
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    if config.bool("bias", default=False):
        raise UnsupportedModel(
            "{path}: llama.cpp computes InternLM2 without biases, and this one has them.", path=config.origin
        )
    rotary = read_rotary(config, sizes.head_dim, factors=False, dynamic=TRANSFORMERS)
    names = ("model.tok_embeddings.weight", "model.norm.weight", "output.weight")
    tied = config.bool("tie_word_embeddings", default=False)
    tensors = embeddings(sizes, shapes, tied=tied, always_head=True, names=names)
    for layer in range(sizes.layers):
        tensors += _layer(sizes, layer)
    return Blueprint(
        architecture="internlm2",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        chat=internlm2_chat(config),
        warnings=rotary.warnings,
    )


def _layer(sizes: Sizes, layer: int) -> list[OutputTensor]:
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    hidden, intermediate_size = sizes.hidden, sizes.intermediate_size
    return [
        as_is(f"{target}attn_norm.weight", f"{source}attention_norm.weight", hidden),
        *_unpacked(sizes, f"{target}attn_", f"{source}attention.wqkv.weight"),
        as_is(f"{target}attn_output.weight", f"{source}attention.wo.weight", hidden, hidden),
        as_is(f"{target}ffn_norm.weight", f"{source}ffn_norm.weight", hidden),
        as_is(f"{target}ffn_gate.weight", f"{source}feed_forward.w1.weight", intermediate_size, hidden),
        as_is(f"{target}ffn_up.weight", f"{source}feed_forward.w3.weight", intermediate_size, hidden),
        as_is(f"{target}ffn_down.weight", f"{source}feed_forward.w2.weight", hidden, intermediate_size),
    ]


def _unpacked(sizes: Sizes, target: str, source: str) -> list[OutputTensor]:
    packed = Source(source, (sizes.queries + 2 * sizes.keys, sizes.hidden))
    shared = sizes.heads // sizes.kv_heads
    parts = (("q", slice(0, shared), sizes.heads), ("k", slice(-2, -1), sizes.kv_heads), ("v", slice(-1, None), 0))
    return [
        OutputTensor(
            f"{target}{part}.weight",
            (sizes.queries if part == "q" else sizes.keys, sizes.hidden),
            (packed,),
            partial(_of_groups, groups=sizes.kv_heads, size=sizes.head_dim, chosen=chosen, heads=heads),
        )
        for part, chosen, heads in parts
    ]


def _of_groups(packed: np.ndarray, *, groups: int, size: int, chosen: slice, heads: int) -> np.ndarray:
    """Return the chosen heads of every group; `heads` of them rotate, 0: none does."""
    width = packed.shape[1]
    rows = packed.reshape(groups, -1, size, width)[:, chosen].reshape(-1, width)
    return rotary_pairs(heads)(rows) if heads else rows


FAMILY = Family(
    name="internlm2",
    title="InternLM2 and InternLM2.5",
    classes=("InternLM2ForCausalLM",),
    model_types=("internlm2",),
    blueprint=_blueprint,
)
