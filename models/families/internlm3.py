"""InternLM3: LLaMA's layout and architecture.

Source of the layout: the publisher's modeling_internlm3.py (`qkv_bias` for queries, keys and values, `bias` for the others).
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.dynamic_rotary import TRANSFORMERS
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    rotary = read_rotary(config, sizes.head_dim, dynamic=TRANSFORMERS)
    qkv_bias, bias = config.bool("qkv_bias", default=False), config.bool("bias", default=False)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True, bias=qkv_bias, output_bias=bias)
        tensors += gated_mlp(sizes, layer, shapes, bias=bias)
    return Blueprint(
        architecture="llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        warnings=rotary.warnings,
    )


FAMILY = Family(
    name="internlm3",
    title="InternLM3",
    classes=("InternLM3ForCausalLM",),
    blueprint=_blueprint,
)
