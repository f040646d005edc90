"""ERNIE 4.5, the dense 0.3B: LLaMA's layout with neighbouring elements rotated together, as llama.cpp's `ernie4_5` does.

Source of the layout: transformers, models/ernie4_5/modeling_ernie4_5.py.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    if config.bool("use_bias", default=False):
        raise UnsupportedModel(
            "{path}: llama.cpp computes ERNIE 4.5 without biases, and this one has them.", path=config.origin
        )
    sizes = read_sizes(config)
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=True))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=False)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="ernie4_5",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=tuple(tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="ernie",
    title="ERNIE 4.5 (dense)",
    classes=("Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"),
    blueprint=_blueprint,
)
