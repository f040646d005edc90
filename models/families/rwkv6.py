"""RWKV-6 (Finch): llama.cpp's `rwkv6`.

Source of the layout: BlinkDL/RWKV-LM, RWKV-v5/src/model.py (x060); of fla's: fla-org/flash-linear-attention,
utils/convert_from_rwkv6.py and fla/layers/rwkv6.py. fla's class normalizes groups with an epsilon of 1e-5 where the publisher's
training had 64e-5, which the weights it converted need and llama.cpp computes.
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
    built_in_vocabulary,
    frame,
    head_count,
    implied_config,
    norms,
    parameters,
    read_rwkv_vocabulary,
    stacked_mixes,
    transposed,
    with_intermediate_size,
)

_MIXES = "wkvrg"
"""The order of the five mixed inputs in time_maa_w1, time_maa_w2 and llama.cpp's fused tensor."""
_FROM_FLA = ["rwkvg".index(mix) for mix in _MIXES]
"""Where each of them lies in fla's tensors."""


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    config = with_intermediate_size(config, 3.5)
    weights = Weights(shapes, config.origin)
    hidden = config.int("hidden_size", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    mix_rank = config.int("time_mix_extra_dim", "proj_low_rank_dim", default=64 if hidden == 4096 else 32, minimum=1)
    decay_rank = config.int(
        "time_decay_extra_dim", "gate_low_rank_dim", default=128 if hidden == 4096 else 64, minimum=1
    )
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
            "wkv.head_size": _head_dim(config),
            "time_mix_extra_dim": mix_rank,
            "time_decay_extra_dim": decay_rank,
        },
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_rwkv_vocabulary,
        built_in_vocabulary=built_in_vocabulary(rows),
        chat=world_chat(config),
        metadata={"zhiyin.source_version": "RWKV-6"},
    )


def _head_dim(config: Config) -> int:
    heads = config.int("num_heads", default=0)  # fla says how many, the publisher how large
    usual = config.int("hidden_size") // heads if heads else 64
    size = config.int("head_size", default=max(usual, 1), minimum=1)
    head_count(config, size)
    return size


def _time_mix(weights: Weights, config: Config, layer: int, mix_rank: int, decay_rank: int) -> list[OutputTensor]:
    hidden, size = config.int("hidden_size"), _head_dim(config)
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    rescaled = _rescaled(config, layer)
    return [
        weights.tensor(f"{target}lerp_x.weight", f"{source}time_maa_x", hidden),
        *_mixes(weights, layer, hidden, mix_rank),
        weights.factor(f"{target}decay_w1.weight", f"{source}time_decay_w1", (decay_rank, hidden)),
        weights.factor(f"{target}decay_w2.weight", f"{source}time_decay_w2", (hidden, decay_rank)),
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


def _mixes(weights: Weights, layer: int, hidden: int, rank: int) -> list[OutputTensor]:
    """Return the five lerps and the low-rank factors that change them."""
    source, target = f"blocks.{layer}.att.time_maa_", f"blk.{layer}.time_mix_"
    fused, w1, w2 = f"{target}lerp_fused.weight", f"{target}w1.weight", f"{target}w2.weight"
    shapes = {fused: (5, 1, 1, hidden), w1: (5 * rank, hidden), w2: (5, hidden, rank)}
    if weights.is_linear(f"{source}w1"):
        return [
            weights.changed(
                fused, shapes[fused], {f"{source}rwkvg": (5, hidden)}, partial(_ordered, shape=shapes[fused])
            ),
            weights.changed(w1, shapes[w1], {f"{source}w1": shapes[w1]}, partial(_ordered, shape=shapes[w1])),
            weights.changed(w2, shapes[w2], {f"{source}w2": (hidden, 5 * rank)}, _ordered_columns),
        ]
    vectors = {f"{source}{mix}": (1, 1, hidden) for mix in _MIXES}
    return [
        weights.changed(fused, shapes[fused], vectors, stacked_mixes),
        weights.changed(w1, shapes[w1], {f"{source}w1": (hidden, 5 * rank)}, transposed),
        weights.changed(w2, shapes[w2], {f"{source}w2": (5, rank, hidden)}, transposed),
    ]


def _channel_mix(weights: Weights, config: Config, layer: int) -> list[OutputTensor]:
    hidden, intermediate_size = config.int("hidden_size"), config.int("intermediate_size")
    source, target = f"blocks.{layer}.ffn.", f"blk.{layer}.channel_mix_"
    rescaled = _rescaled(config, layer)
    return [
        *(weights.tensor(f"{target}lerp_{mix}.weight", f"{source}time_maa_{mix}", hidden) for mix in "kr"),
        weights.tensor(f"{target}key.weight", f"{source}key.weight", intermediate_size, hidden),
        weights.changed(
            f"{target}value.weight",
            (hidden, intermediate_size),
            {f"{source}value.weight": (hidden, intermediate_size)},
            rescaled,
        ),
        weights.tensor(f"{target}receptance.weight", f"{source}receptance.weight", hidden, hidden),
    ]


def _rescaled(config: Config, layer: int) -> Transform | None:
    """Return the division that goes with llama.cpp's halving of the residual stream after every few layers.

    It keeps 16-bit products in range and is not quite neutral (the norms' epsilon): only done where the checkpoint asks for it.
    """
    every = config.int("rescale_every", default=0)
    halvings = layer // every if every else 0
    return partial(_divided, divisor=float(2**halvings)) if halvings else None


def _ordered(values: np.ndarray, *, shape: Shape) -> np.ndarray:
    """Return fla's five parts, one after the other, in llama.cpp's order."""
    return values.reshape(5, -1, values.shape[-1])[_FROM_FLA].reshape(shape)


def _ordered_columns(matrix: np.ndarray) -> np.ndarray:
    """Return [5, hidden, rank] of fla's [hidden, 5 x rank]."""
    return matrix.reshape(len(matrix), 5, -1).swapaxes(0, 1)[_FROM_FLA]


def _divided(matrix: np.ndarray, *, divisor: float) -> np.ndarray:
    return matrix.astype(np.float32) / np.float32(divisor)


def _config_of(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    config = implied_config(shapes, origin, "6", "Rwkv6ForCausalLM")
    if config is None:
        return None
    weights = Weights(shapes, origin)
    axis = 0 if weights.is_linear("blocks.0.att.time_maa_w1") else 1
    ranks = {
        "time_mix_extra_dim": weights.size("blocks.0.att.time_maa_w1", axis) // 5,
        "time_decay_extra_dim": weights.size("blocks.0.att.time_decay_w1", axis),
    }
    return Config({**config.data, **ranks}, config.origin)


FAMILY = Family(
    name="rwkv6",
    title="RWKV-6",
    classes=("Rwkv6ForCausalLM",),
    model_types=("rwkv6",),
    blueprint=_blueprint,
    config_of=_config_of,
)
