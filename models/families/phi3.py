"""Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: packed projections, in Phi-4-mini three quarters of each head rotate.

Source of the layout: transformers, models/phi3/modeling_phi3.py. llama.cpp takes the packed matrices as they are and, since it
has no windows in this architecture, the context ends with a window.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import (
    Shapes,
    Sizes,
    decoder_parameters,
    embeddings,
    norms,
    read_sizes,
    require_silu,
    require_square_attention,
)
from models.family import Blueprint, Family, OutputTensor
from models.layers import as_is
from models.rotary import read_rotary, without_sliding_window


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    require_square_attention(config, sizes)
    part = config.section("rope_parameters").float(
        "partial_rotary_factor", default=config.float("partial_rotary_factor", default=1.0), minimum=0.01, maximum=1
    )
    rotary_dim = int(sizes.head_dim * part)
    rotary = read_rotary(config, rotary_dim, llama3=False)
    window = config.int("sliding_window", default=0)
    if window:
        rotary = rotary.limited(window, without_sliding_window(window))
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += _layer(sizes, layer)
    return Blueprint(
        architecture="phi3",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | {"rope.dimension_count": rotary_dim},
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _layer(sizes: Sizes, layer: int) -> list[OutputTensor]:
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    hidden, intermediate_size, packed = sizes.hidden, sizes.intermediate_size, sizes.queries + 2 * sizes.keys
    return [
        as_is(f"{target}attn_qkv.weight", f"{source}self_attn.qkv_proj.weight", packed, hidden),
        as_is(f"{target}attn_output.weight", f"{source}self_attn.o_proj.weight", hidden, sizes.queries),
        as_is(f"{target}ffn_up.weight", f"{source}mlp.gate_up_proj.weight", 2 * intermediate_size, hidden),
        as_is(f"{target}ffn_down.weight", f"{source}mlp.down_proj.weight", hidden, intermediate_size),
    ]


FAMILY = Family(
    name="phi3",
    title="Phi-3 and Phi-4",
    classes=("Phi3ForCausalLM",),
    blueprint=_blueprint,
)
