"""InternLM, the first generation: 7B (with biases) and 20B.

Source of the layout: the publisher's modeling_internlm.py; it is LLaMA's, and so is the architecture written.
"""

from __future__ import annotations

from models.chat.published import internlm_chat
from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.dynamic_rotary import INTERNLM
from models.family import Blueprint, Family
from models.rotary import read_rotary


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    sizes = read_sizes(config)
    rotary = read_rotary(_with_rotary_words(config), sizes.head_dim, dynamic=INTERNLM)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=False))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True, bias=config.bool("bias", default=True))
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture="llama",
        parameters=decoder_parameters(config, sizes) | rotary.parameters,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        chat=internlm_chat(config),
        warnings=rotary.warnings,
    )


def _with_rotary_words(config: Config) -> Config:
    """Return the configuration with `rotary` ({"type": "dynamic", "base": 10000}) in the words of transformers."""
    own = config.section("rotary")
    if not own.data:
        return config
    kind = own.str("type", default="origin")
    scaling = {"rope_type": "default" if kind == "origin" else kind, "factor": own.float("scaling_factor", default=1.0)}
    return Config(
        {"rope_theta": own.float("base", default=10000.0), "rope_scaling": scaling, **config.data}, config.origin
    )


FAMILY = Family(
    name="internlm",
    title="InternLM",
    classes=("InternLMForCausalLM",),
    model_types=("internlm",),
    blueprint=_blueprint,
)
