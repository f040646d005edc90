"""RWKV-7 (Goose, World and G1): llama.cpp's `rwkv7`.

Source of the layout: BlinkDL/RWKV-LM, RWKV-v7/rwkv_v7_numpy.py; of Hugging Face's: fla-org/flash-linear-attention,
fla/models/rwkv7.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.chat.rwkv import g1_chat
from models.config import Config
from models.family import Blueprint, Family, OutputTensor, Shape
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
    with_intermediate_size,
)

_MIXES = "rwkvag"
"""The order of the mixed inputs in llama.cpp's fused tensor."""
_RANKS = {
    "w": ("decay_low_rank_dim", "lora_rank_decay", 1.8, 0.5),
    "a": ("a_low_rank_dim", "lora_rank_iclr", 1.8, 0.5),
    "v": ("v_low_rank_dim", "lora_rank_value_residual_mix", 1.3, 0.5),
    "g": ("gate_low_rank_dim", "lora_rank_gate", 0.6, 0.8),
}
"""Low-rank pair -> its rank's names in fla's and in older configurations, factor and exponent of the publisher's rule."""
_KEYS = {"w": "decay", "a": "iclr", "v": "value_residual_mix", "g": "gate"}


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    config = with_intermediate_size(config, 4)
    weights = Weights(shapes, config.origin)
    hidden = config.int("hidden_size", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    ranks = {pair: _rank(config, pair) for pair in _RANKS}
    tensors = frame(weights, rows, hidden)
    for layer in range(config.int("num_hidden_layers", minimum=1)):
        tensors += norms(weights, layer, hidden)
        tensors += _time_mix(weights, config, layer, ranks)
        tensors += _channel_mix(weights, config, layer)
    return Blueprint(
        architecture="rwkv7",
        parameters={
            **parameters(config),
            "wkv.head_size": config.int("head_dim", "head_size", default=64, minimum=1),
            **{f"attention.{name}_lora_rank": ranks[pair] for pair, name in _KEYS.items()},
        },
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_rwkv_vocabulary,
        built_in_vocabulary=built_in_vocabulary(rows),
        chat=g1_chat(config),
        metadata={"zhiyin.source_version": "RWKV-7"},
    )


def _rank(config: Config, pair: str) -> int:
    name, old_name, factor, exponent = _RANKS[pair]
    usual = max(1, round(config.int("hidden_size") ** exponent * factor / 32)) * 32
    return config.int(name, old_name, default=usual, minimum=1)


def _time_mix(weights: Weights, config: Config, layer: int, ranks: Mapping[str, int]) -> list[OutputTensor]:
    hidden = config.int("hidden_size")
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    tensors = [_fused_mixes(weights, layer, hidden)]
    for pair in _RANKS:
        # The first layer has nothing to mix its values with, but llama.cpp asks for the pair; its numbers are not used.
        own = "a" if layer == 0 and pair == "v" else pair
        if pair != "g":
            tensors.append(weights.tensor(f"{target}{pair}0.weight", f"{source}{own}0", hidden))
        tensors.append(weights.factor(f"{target}{pair}1.weight", f"{source}{own}1", (ranks[own], hidden)))
        tensors.append(weights.factor(f"{target}{pair}2.weight", f"{source}{own}2", (hidden, ranks[own])))
    return [
        *tensors,
        *(weights.tensor(f"{target}{name}.weight", f"{source}{name}", hidden) for name in ("k_k", "k_a")),
        weights.flat(f"{target}r_k.weight", f"{source}r_k", _heads(config), hidden // _heads(config)),
        *(
            weights.tensor(f"{target}{name}.weight", f"{source}{name}.weight", hidden, hidden)
            for name in ("receptance", "key", "value", "output")
        ),
        *weights.affine(f"{target}ln", f"{source}ln_x", hidden),
    ]


def _fused_mixes(weights: Weights, layer: int, hidden: int) -> OutputTensor:
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_lerp_fused.weight"
    if f"{source}x_x" in weights and f"{source}x_r" not in weights:  # early Hugging Face files hold them fused
        return weights.tensor(target, f"{source}x_x", len(_MIXES), 1, 1, hidden)
    vectors = {f"{source}x_{mix}": (1, 1, hidden) for mix in _MIXES}
    return weights.changed(target, (len(_MIXES), 1, 1, hidden), vectors, stacked_mixes)


def _channel_mix(weights: Weights, config: Config, layer: int) -> list[OutputTensor]:
    hidden, intermediate_size = config.int("hidden_size"), config.int("intermediate_size")
    source, target = f"blocks.{layer}.ffn.", f"blk.{layer}.channel_mix_"
    return [
        weights.tensor(f"{target}lerp_k.weight", f"{source}x_k", hidden),
        weights.tensor(f"{target}key.weight", f"{source}key.weight", intermediate_size, hidden),
        weights.tensor(f"{target}value.weight", f"{source}value.weight", hidden, intermediate_size),
    ]


def _heads(config: Config) -> int:
    return head_count(config, config.int("head_dim", "head_size", default=64, minimum=1))


def _config_of(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    config = implied_config(shapes, origin, "7", "RWKV7ForCausalLM")
    if config is None:
        return None
    weights = Weights(shapes, origin)
    ranks = {}
    for pair, (name, *_) in _RANKS.items():
        # A model of one layer has no value pair but that of its learning rate.
        tensor = next(
            (t for t in (f"blocks.1.att.{pair}1", f"blocks.0.att.{pair}1") if t in weights), "blocks.0.att.a1"
        )
        ranks[name] = weights.size(tensor, 0 if weights.is_linear(tensor) else 1)
    return Config({**config.data, **ranks}, config.origin)


FAMILY = Family(
    name="rwkv7",
    title="RWKV-7",
    classes=("RWKV7ForCausalLM", "Rwkv7ForCausalLM"),
    model_types=("rwkv7",),
    blueprint=_blueprint,
    config_of=_config_of,
)
