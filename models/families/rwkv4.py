"""RWKV-4 (Pile, Raven, World, Novel): our own architecture `rwkv4`, which the graph runner computes.

Source of the layout: BlinkDL/RWKV-LM, RWKV-v4neo/src/model.py; of Hugging Face's: transformers, models/rwkv.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.chat.rwkv import raven_chat
from models.config import Config
from models.family import Blueprint, Family, OutputTensor, Shape
from models.rwkv import (
    Weights,
    built_in_vocabulary,
    complement,
    frame,
    gated_channel_mix,
    implied_config,
    norms,
    parameters,
    read_rwkv_vocabulary,
    with_intermediate_size,
)


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    config = with_intermediate_size(config, 4)
    weights = Weights(shapes, config.origin)
    hidden = config.int("hidden_size", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    tensors = frame(weights, rows, hidden)
    for layer in range(config.int("num_hidden_layers", minimum=1)):
        tensors += norms(weights, layer, hidden)
        tensors += _time_mix(weights, layer, hidden)
        tensors += gated_channel_mix(weights, config, layer)
    return Blueprint(
        architecture="rwkv4",
        parameters=parameters(config),
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_rwkv_vocabulary,
        built_in_vocabulary=built_in_vocabulary(rows),
        chat=raven_chat(config),
        metadata={"zhiyin.source_version": "RWKV-4"},
        default_quant="Q8_0",  # 4 bits raise the perplexity of the 7B model from 8 to 500: saharNooby/rwkv.cpp, issue 12
    )


def _time_mix(weights: Weights, layer: int, hidden: int) -> list[OutputTensor]:
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    return [
        *(complement(weights, f"{target}lerp_{mix}.weight", f"{source}time_mix_{mix}", hidden) for mix in "kvr"),
        weights.changed(f"{target}decay.weight", (hidden,), {f"{source}time_decay": (hidden,)}, _decay),
        weights.tensor(f"{target}first.weight", f"{source}time_first", hidden),
        *(
            weights.tensor(f"{target}{name}.weight", f"{source}{name}.weight", hidden, hidden)
            for name in ("receptance", "key", "value", "output")
        ),
    ]


def _decay(logarithm: np.ndarray) -> np.ndarray:
    """Return what is added to the exponent at each step, always below zero."""
    return -np.exp(logarithm.astype(np.float32).reshape(-1))


def _config_of(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    return implied_config(shapes, origin, "4", "RwkvForCausalLM")


FAMILY = Family(
    name="rwkv4",
    title="RWKV-4",
    classes=("RwkvForCausalLM",),
    blueprint=_blueprint,
    config_of=_config_of,
)
