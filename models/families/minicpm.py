"""MiniCPM (1B, 2B) and MiniCPM4: LLaMA's layout with three multipliers.

Source: the publisher's modeling_minicpm.py. Embeddings are multiplied by `scale_emb`, what each half of a layer adds by
`scale_depth` / sqrt(layers), and the head's input divided by hidden size / `dim_model_base`.
"""

from __future__ import annotations

import math

from models.chat.published import minicpm_chat
from models.config import Config
from models.decoder import Shapes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes, require_silu
from models.dynamic_rotary import TRANSFORMERS
from models.errors import UnsupportedModel
from models.family import Blueprint, Family
from models.rotary import read_rotary
from models.sentence import Sentence


def _blueprint(config: Config, shapes: Shapes) -> Blueprint:
    require_silu(config)
    if config.int("num_experts", default=0) > 1:
        raise UnsupportedModel(
            "{path} is of a MiniCPM mixture of experts, which Zhiyin cannot convert; choose a dense MiniCPM.",
            path=config.origin,
        )
    sizes = read_sizes(config)
    rotary = read_rotary(config, sizes.head_dim, dynamic=TRANSFORMERS)
    tensors = embeddings(sizes, shapes, tied=config.bool("tie_word_embeddings", default=True))
    for layer in range(sizes.layers):
        tensors += norms(layer, sizes.hidden)
        tensors += attention(sizes, layer, shapes, interleaved=True, bias=config.bool("attention_bias", default=False))
        tensors += gated_mlp(sizes, layer, shapes)
    multipliers = {
        "embedding_scale": config.float("scale_emb", default=1.0),
        "residual_scale": config.float("scale_depth", default=1.0) / math.sqrt(sizes.layers),
        "logit_scale": sizes.hidden / config.float("dim_model_base", default=1.0, minimum=1),
    }
    return Blueprint(
        architecture="minicpm",
        parameters=decoder_parameters(config, sizes) | rotary.parameters | multipliers,
        tensors=(*tensors, *rotary.tensors),
        vocabulary_size=sizes.vocabulary,
        chat=minicpm_chat(config),
        warnings=(*rotary.warnings, *_sparse(config)),
    )


def _sparse(config: Config) -> tuple[Sentence, ...]:
    """MiniCPM4.1 reads long texts sparsely to save time; attending to all of a text is the exact form of the same."""
    sparse = config.section("sparse_config")
    if not sparse.data:
        return ()
    length = sparse.int("dense_len", default=8192)
    return (
        Sentence(
            "Beyond {count} tokens this model's own code attends to parts of the text; llama.cpp attends to all of it.",
            count=length,
        ),
    )


FAMILY = Family(
    name="minicpm",
    title="MiniCPM and MiniCPM4",
    classes=("MiniCPMForCausalLM",),
    model_types=("minicpm",),
    blueprint=_blueprint,
)
