"""RWKV-6 (Finch): llama.cpp's `rwkv6`.

Source of the layout: BlinkDL/RWKV-LM, RWKV-v5/src/model.py (x060).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from models.chat.rwkv import world_chat
from models.config import Config
from models.family import Blueprint, Family, OutputTensor, Shape, Transform
from models.rwkv import (
    Weights,
    frame,
    implied_config,
    norms,
    parameters,
    read_rwkv_vocabulary,
    stacked_mixes,
    transposed,
)

_MIXES = "wkvrg"
"""The order of the five mixed inputs in time_maa_w1, time_maa_w2 and llama.cpp's fused tensor."""


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    weights = Weights(shapes)
    hidden = config.int("hidden_size", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    mix_rank = config.int("time_mix_extra_dim", default=64 if hidden == 4096 else 32, minimum=1)
    decay_rank = config.int("time_decay_extra_dim", default=128 if hidden == 4096 else 64, minimum=1)
    tensors = frame(weights, rows, hidden)
    for layer in range(config.int("num_hidden_layers", minimum=1)):
        tensors += norms(weights, layer, hidden)
        tensors += _time_mix(weights, config, layer, mix_rank, decay_rank)
        tensors += _channel_mix(weights, config, layer)
    return Blueprint(
        architecture="rwkv6",
        parameters={
            **parameters(config),
            "rescale_every_n_layers": config.int("rescale_every", default=0),
            "wkv.head_size": config.int("head_size", default=64, minimum=1),
            "time_mix_extra_dim": mix_rank,
            "time_decay_extra_dim": decay_rank,
        },
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_rwkv_vocabulary,
        chat=world_chat(config),
        metadata={"zhiyin.source_version": "RWKV-6"},
    )


def _time_mix(weights: Weights, config: Config, layer: int, mix_rank: int, decay_rank: int) -> list[OutputTensor]:
    hidden = config.int("hidden_size")
    size = config.int("head_size", default=64, minimum=1)
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    factors = {"w1": (hidden, 5 * mix_rank), "w2": (5, mix_rank, hidden)}
    decays = {"decay_w1": (hidden, decay_rank), "decay_w2": (decay_rank, hidden)}
    low_rank = [(f"time_maa_{name}", name, shape) for name, shape in factors.items()]
    low_rank += [(f"time_{name}", name, shape) for name, shape in decays.items()]
    rescaled = _rescaled(config, layer)
    return [
        weights.tensor(f"{target}lerp_x.weight", f"{source}time_maa_x", hidden),
        weights.changed(
            f"{target}lerp_fused.weight",
            (5, 1, 1, hidden),
            {f"{source}time_maa_{mix}": (1, 1, hidden) for mix in _MIXES},
            stacked_mixes,
        ),
        *(
            weights.changed(
                f"{target}{name}.weight", (*shape[:-2], shape[-1], shape[-2]), {f"{source}{own}": shape}, transposed
            )
            for own, name, shape in low_rank
        ),
        weights.tensor(f"{target}decay.weight", f"{source}time_decay", hidden),
        weights.tensor(f"{target}first.weight", f"{source}time_faaaa", hidden // size, size),
        *(
            weights.tensor(f"{target}{name}.weight", f"{source}{name}.weight", hidden, hidden)
            for name in ("receptance", "key", "value", "gate")
        ),
        *weights.affine(f"{target}ln", f"{source}ln_x", hidden),
        weights.changed(
            f"{target}output.weight", (hidden, hidden), {f"{source}output.weight": (hidden, hidden)}, rescaled
        ),
    ]


def _channel_mix(weights: Weights, config: Config, layer: int) -> list[OutputTensor]:
    hidden, inner = config.int("hidden_size"), config.int("intermediate_size")
    source, target = f"blocks.{layer}.ffn.", f"blk.{layer}.channel_mix_"
    rescaled = _rescaled(config, layer)
    return [
        *(weights.tensor(f"{target}lerp_{mix}.weight", f"{source}time_maa_{mix}", hidden) for mix in "kr"),
        weights.tensor(f"{target}key.weight", f"{source}key.weight", inner, hidden),
        weights.changed(f"{target}value.weight", (hidden, inner), {f"{source}value.weight": (hidden, inner)}, rescaled),
        weights.tensor(f"{target}receptance.weight", f"{source}receptance.weight", hidden, hidden),
    ]


def _rescaled(config: Config, layer: int) -> Transform | None:
    """Return the division that goes with llama.cpp's halving of the residual stream after every few layers.

    It keeps 16-bit products in range and is not quite neutral (the norms' epsilon): only done where the checkpoint asks for it.
    """
    every = config.int("rescale_every", default=0)
    halvings = layer // every if every else 0
    return partial(_divided, divisor=float(2**halvings)) if halvings else None


def _divided(matrix: np.ndarray, *, divisor: float) -> np.ndarray:
    return matrix.astype(np.float32) / np.float32(divisor)


def _config_of(shapes: Mapping[str, Shape]) -> Config | None:
    config = implied_config(shapes, "6", "Rwkv6ForCausalLM")
    if config is None:
        return None
    weights = Weights(shapes)
    ranks = {
        "time_mix_extra_dim": weights.size("blocks.0.att.time_maa_w2", 1),
        "time_decay_extra_dim": weights.size("blocks.0.att.time_decay_w1", 1),
    }
    return Config({**config.data, **ranks}, config.origin)


FAMILY = Family(
    name="rwkv6",
    title="RWKV-6",
    classes=("Rwkv6ForCausalLM",),
    blueprint=_blueprint,
    config_of=_config_of,
)
