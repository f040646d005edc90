"""Yi as first published, in November 2023: LLaMA's layout, with its own class and names of norms.

Source of the layout: the publisher's modeling_yi.py. The repositories of today are LLaMA's in every word.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    rotary = read_rotary(config, sizes.head_size)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden, ("ln1", "ln2"))
        tensors += attention(sizes, layer, shapes, paired=True)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="yi",
    title="Yi",
    classes=("YiForCausalLM",),
    blueprint=_blueprint,
)
