"""Qwen3's mixtures of experts: Qwen3-30B-A3B, Qwen3-235B-A22B and Qwen3-Coder.

Source of the layout: transformers, models/qwen3_moe/modeling_qwen3_moe.py. llama.cpp's "qwen3moe" has experts in every layer,
whose weights sum to 1. A configuration can ask for less of both: no published one does, but transformers takes a silent one so.
llama.cpp's "hy_v3" (src/models/hy-v3.cpp) is the same decoder with keys for both, beside an expert that all tokens share: here
that is one of zeros.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from models.config import Config
from models.decoder import (
    Mixture,
    Shapes,
    attention,
    decoder_parameters,
    embeddings,
    experts,
    gated_mlp,
    head_norms,
    norms,
    read_mixture,
    read_sizes,
    require_silu,
)
from models.family import Blueprint, Family, OutputTensor
from models.gguf_constants import ExpertGatingFuncType
from models.rotary import read_windowed_rotary

_SHARED_ROWS = 32
"""Of the shared expert of zeros: a block of the smallest quantizations."""


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    mixture = read_mixture(config)
    mixed = _mixed_layers(config, sizes.layers)
    is_usual = mixture.normalised and all(mixed)
    rotary = read_windowed_rotary(config, sizes.head_dim, dense=False, first_window=0)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False)
        tensors += head_norms(sizes, layer)
        if mixed[layer]:
            tensors += experts(layer, mixture.count, mixture.intermediate_size, sizes.hidden)
            tensors += () if is_usual else _shared_expert_of_zeros(layer, sizes.hidden)
        else:
            tensors += gated_mlp(sizes, layer, shapes)
    model = Blueprint(
        architecture="qwen3moe",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | mixture.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )
    return model if is_usual else _with_keys(model, mixture)


def _mixed_layers(config: Config, layers: int) -> list[bool]:
    """Tell of each layer whether it has experts."""
    step = config.int("decoder_sparse_step", default=1, minimum=1)
    dense = config.entries("mlp_only_layers", int) or ()
    return [layer not in dense and (layer + 1) % step == 0 for layer in range(layers)]


def _with_keys(model: Blueprint, mixture: Mixture) -> Blueprint:
    keys = {
        "expert_gating_func": int(ExpertGatingFuncType.SOFTMAX),
        "expert_weights_norm": mixture.normalised,
        "expert_weights_scale": 1.0,
        "expert_shared_feed_forward_length": _SHARED_ROWS,
    }
    return replace(model, architecture="hy_v3", parameters=model.parameters | keys)


def _shared_expert_of_zeros(layer: int, hidden: int) -> list[OutputTensor]:
    shapes = {"gate": (_SHARED_ROWS, hidden), "up": (_SHARED_ROWS, hidden), "down": (hidden, _SHARED_ROWS)}
    return [
        OutputTensor(
            f"blk.{layer}.ffn_{name}_shexp.weight", shape, (), partial(np.zeros, shape, np.float32), exact=True
        )
        for name, shape in shapes.items()
    ]


FAMILY = Family(
    name="qwen3_moe",
    title="Qwen3 MoE",
    classes=("Qwen3MoeForCausalLM",),
    blueprint=_blueprint,
)
