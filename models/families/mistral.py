"""Mistral and what was tuned from it (Zephyr, OpenChat …): LLaMA's layout, in the first version with a sliding window.

Source of the layout: transformers, models/mistral/modeling_mistral.py. llama.cpp's `llama` always attends to everything; where
the window is shorter than the context, `granite_swa` computes the model: it is LLaMA with windows and attention sinks, and sinks
of minus infinity, or nearly, take nothing.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.dynamic_rotary import TRANSFORMERS
from models.family import Blueprint, Family, Metadata, OutputTensor
from models.rotary import read_rotary

_NOTHING = -1e30


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    window = config.int("sliding_window", default=0)
    rotary = read_rotary(config, sizes.head_dim, dynamic="" if window else TRANSFORMERS)
    slides = 0 < window < rotary.parameters["context_length"]
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True)
        tensors += gated_mlp(sizes, layer, shapes)
        if slides:
            sinks = partial(np.full, sizes.heads, _NOTHING, np.float32)
            tensors.append(OutputTensor(f"blk.{layer}.attn_sinks.weight", (sizes.heads,), (), sinks))
    windows: Metadata = {
        "attention.sliding_window": window,
        "attention.sliding_window_pattern": [True] * sizes.layers,
        "logit_scale": 1.0,
    }
    return Blueprint(
        architecture="granite_swa" if slides else "llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | (windows if slides else {}),
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="mistral",
    title="Mistral",
    classes=("MistralForCausalLM",),
    blueprint=_blueprint,
)
