"""Gemma 2 and Gemma 3: norms on both sides of attention and feed-forward network, a sliding window in most layers.

Source of the layout: transformers, models/gemma2/modeling_gemma2.py and models/gemma3/modeling_gemma3.py. Norms are stored as
what is added to 1. llama.cpp divides scores by the root of a head's size (in the 27B of the width by the heads), whatever
query_pre_attn_scalar says: another one goes into the queries. llama.cpp takes GELU from a table of 16-bit floats, so that logits
agree to three digits rather than six.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from models.config import Config
from models.decoder import Shapes, Sizes, attention, decoder_parameters, embeddings, gated_mlp, norms, read_sizes
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint, Family, Metadata, OutputTensor, Source, Transform
from models.language_part import LEFT_OUT, is_part, text_config, text_tensors
from models.rotary import Rotary, read_rotary

_SECOND: dict[str, Any] = {
    "vocab_size": 256000,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "sliding_window": 4096,
    "sliding_window_pattern": 2,
    "rope_theta": 10000.0,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
    "query_pre_attn_scalar": 256,
}
_THIRD: dict[str, Any] = {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "rope_theta": 1_000_000.0,
    "query_pre_attn_scalar": 256,
}
"""What transformers takes where a configuration is silent."""
_NO_CAP = 1e6
"""So far from any score or logit that it changes none."""
_LARGEST = {"gemma2": 46, "gemma3": 62}
"""Layers of the 27B, the only models whose scores llama.cpp divides otherwise than by the root of a head's size."""


def gemma_blueprint(config: Config, shapes: Shapes) -> Blueprint:
    """Return what is known of Gemma 2 or 3; EmbeddingGemma is made of the latter."""
    outer, second = config, any("gemma2" in name.lower() for name in config.classes)
    config = text_config(config, _SECOND if second else _THIRD)
    architecture = "gemma2" if second else "gemma3"
    sizes = read_sizes(config)
    _refuse_other_forms(config, architecture)
    factor = _query_factor(config, sizes, architecture)
    rotary = read_rotary(config, sizes.head_dim, factors=False)
    tied = config.bool("tie_word_embeddings", default=True)
    if second and not tied and any(name.endswith("lm_head.weight") for name in shapes or ()):
        raise UnsupportedModel(
            "{path}: llama.cpp computes Gemma 2 only with an output head that is the token embeddings, and this one has another.",
            path=config.origin,
        )
    tensors = embeddings(sizes, shapes, tied=tied)
    tensors[1] = _raised(tensors[1])
    for layer in range(sizes.layers):
        attending = [_raised(norm) for norm in _norms(sizes, layer, third=not second)]
        attending += attention(sizes, layer, shapes, interleaved=False)
        tensors += _scaled_queries(attending, factor)
        tensors += gated_mlp(sizes, layer, shapes)
    return Blueprint(
        architecture=architecture,
        parameters=decoder_parameters(config, sizes)
        | rotary.parameters
        | _windows(config, sizes, rotary, second=second)
        | _capping(config, always=second),
        tensors=text_tensors(tensors, shapes),
        vocabulary_size=sizes.vocabulary,
        warnings=(*rotary.warnings, *((LEFT_OUT,) if is_part(outer) else ())),
    )


def _query_factor(config: Config, sizes: Sizes, architecture: str) -> float:
    """Return what queries are multiplied by so that scores come out as the configuration says."""
    large = sizes.layers == _LARGEST[architecture]
    divisor = sizes.hidden // sizes.heads if large else sizes.head_dim
    scalar = config.float("query_pre_attn_scalar", default=divisor, minimum=1e-3)
    return 1.0 if scalar == divisor else math.sqrt(divisor / scalar)


def _scaled_queries(tensors: list[OutputTensor], factor: float) -> list[OutputTensor]:
    """Return tensors with other queries: their norm changes them last, and their matrix where there is none."""
    if factor == 1:
        return tensors
    last = "attn_q_norm.weight" if any(tensor.name.endswith("attn_q_norm.weight") for tensor in tensors) else "attn_q."
    return [
        replace(tensor, transform=partial(_scaled, factor=factor, transform=tensor.transform))
        if last in tensor.name
        else tensor
        for tensor in tensors
    ]


def _scaled(weight: np.ndarray, *, factor: float, transform: Transform | None) -> np.ndarray:
    changed = weight if transform is None else transform(weight)
    return np.asarray(changed.astype(np.float32) * np.float32(factor))


def _refuse_other_forms(config: Config, architecture: str) -> None:
    activation = config.str("hidden_activation", "hidden_act", default="gelu_pytorch_tanh")
    if activation not in ("gelu_pytorch_tanh", "gelu"):  # the first configurations said "gelu" and meant the other
        raise UnsupportedModel(
            "{path} asks for the activation {activation!r}, which Gemma does not have.",
            path=config.origin,
            activation=activation[:40],
        )
    if config.bool("use_bidirectional_attention", default=False):
        raise UnsupportedModel(
            "{path} is of a model that measures texts and writes none; choose a chat model.", path=config.origin
        )
    if architecture == "gemma3" and "attn_logit_softcapping" in config:
        raise UnsupportedModel(
            "{path}: llama.cpp computes Gemma 3 without 'attn_logit_softcapping'.", path=config.origin
        )


def _norms(sizes: Sizes, layer: int, *, third: bool) -> list[OutputTensor]:
    source, target = f"model.layers.{layer}.", f"blk.{layer}."
    before = norms(layer, sizes.hidden, ("input_layernorm", "pre_feedforward_layernorm"))
    others = {
        "post_attention_norm": ("post_attention_layernorm", sizes.hidden),
        "post_ffw_norm": ("post_feedforward_layernorm", sizes.hidden),
    }
    if third:
        others |= {f"attn_{part}_norm": (f"self_attn.{part}_norm", sizes.head_dim) for part in "qk"}
    return [
        *before,
        *(
            OutputTensor(f"{target}{ours}.weight", (count,), (Source(f"{source}{theirs}.weight", (count,)),))
            for ours, (theirs, count) in others.items()
        ),
    ]


def _raised(norm: OutputTensor) -> OutputTensor:
    return OutputTensor(norm.name, norm.shape, norm.sources, _plus_one)


def _plus_one(weight: np.ndarray) -> np.ndarray:
    return np.asarray(weight.astype(np.float32) + 1)


def _windows(config: Config, sizes: Sizes, rotary: Rotary, *, second: bool) -> Metadata:
    """Return which layers see a window only, and the rotary base in them; where none does, one as wide as the context.

    Gemma 2 has one base in all layers.
    """
    listed = config.entries("layer_types", str)
    if listed is None:
        every = config.int("sliding_window_pattern", "_sliding_window_pattern", minimum=1)
        pattern = [(layer + 1) % every != 0 for layer in range(sizes.layers)]
    elif len(listed) == sizes.layers:
        pattern = [kind == "sliding_attention" for kind in listed]
    else:
        raise BadFile(
            "{path}: 'layer_types' must have {layers} entries; download it again.",
            path=config.origin,
            layers=sizes.layers,
        )
    if not any(
        pattern
    ):  # llama.cpp refuses a list without one, and takes a window of its own for Gemma 2 where there is none
        context = rotary.parameters["context_length"]
        every_layer = {"attention.sliding_window": context, "attention.sliding_window_pattern": [True] * sizes.layers}
        return every_layer if second else {}
    outside = config.float("rope_local_base_freq", default=10000.0, minimum=1)
    local = (
        config.section("rope_parameters").section("sliding_attention").float("rope_theta", default=outside, minimum=1)
    )
    return {
        "attention.sliding_window": config.int("sliding_window", minimum=1),
        "attention.sliding_window_pattern": pattern,
        "rope.freq_base_swa": rotary.parameters["rope.freq_base"] if second else local,
    }


def _capping(config: Config, *, always: bool) -> Metadata:
    """Return the numbers that scores and logits cannot go beyond; `always`: llama.cpp takes its own where the file has none."""
    names = ("attn_logit_softcapping", "final_logit_softcapping")
    return {
        name: config.float(name, default=_NO_CAP, minimum=1, maximum=1e6) for name in names if always or name in config
    }


FAMILY = Family(
    name="gemma",
    title="Gemma 2 and Gemma 3",
    classes=("Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    blueprint=gemma_blueprint,
    language_part=True,
)
