"""SmolLM3: LLaMA's layout, and no positions in every fourth layer.

Source of the layout: transformers, models/smollm3/modeling_smollm3.py. llama.cpp's `smollm3` has the interval built in.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.rotary import read_rotary

_INTERVAL = 4


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    _require_published_layers(config, sizes.layers)
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=True))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="smollm3",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


def _require_published_layers(config: Config, layers: int) -> None:
    usual = [int((layer + 1) % _INTERVAL != 0) for layer in range(layers)]
    listed = config.entries("no_rope_layers", int) or usual  # 1: the layer has positions, in spite of the name
    interval = config.int("no_rope_layer_interval", default=_INTERVAL)
    biased = config.bool("attention_bias", default=False) or config.bool("mlp_bias", default=False)
    if listed != usual or interval != _INTERVAL or biased or config.bool("use_sliding_window", default=False):
        raise UnsupportedModel(
            "{path}: llama.cpp computes SmolLM3 without positions in every fourth layer, biases and windows only.",
            path=config.origin,
        )


FAMILY = Family(
    name="smollm3",
    title="SmolLM3",
    classes=("SmolLM3ForCausalLM",),
    blueprint=_blueprint,
)
