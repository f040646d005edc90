"""RWKV-5 (Eagle): 5.1 and 5.2 written as llama.cpp's `rwkv6`, which computes the same; 5.0, which has no gate, as our `rwkv5`.

Source of the layouts: BlinkDL/RWKV-LM, RWKV-v5/src/model.py and RWKV-v4neo/src/model.py. RWKV-6 mixes x + (before - x) * lerp
with a lerp that its input changes, and its decay likewise; with these low-rank changes zero, it is RWKV-5 with lerp 1 - time_mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from models.chat.rwkv import world_chat
from models.config import Config
from models.family import Blueprint, Family, OutputTensor, Shape
from models.rwkv import (
    Weights,
    built_in_vocabulary,
    complement,
    frame,
    gated_channel_mix,
    head_count,
    implied_config,
    norms,
    parameters,
    read_rwkv_vocabulary,
    with_intermediate_size,
)

_GATED_MIXES = "kvrg"


def _blueprint(config: Config, shapes: Mapping[str, Shape] | None) -> Blueprint:
    config = with_intermediate_size(config, 3.5)
    weights = Weights(shapes, config.origin)
    hidden = config.int("hidden_size", minimum=1)
    rows = config.int("vocab_size", minimum=1)
    version = config.str("rwkv_version", default="5.2")
    gated = version != "5.0"
    tensors = frame(weights, rows, hidden)
    for layer in range(config.int("num_hidden_layers", minimum=1)):
        tensors += norms(weights, layer, hidden)
        tensors += _mixes(weights, layer, hidden) if gated else _plain_mixes(weights, layer, hidden)
        tensors += _time_mix(weights, config, layer)
        tensors += gated_channel_mix(weights, config, layer)
    as_6 = {"rescale_every_n_layers": 0, "time_mix_extra_dim": 1, "time_decay_extra_dim": 1}
    return Blueprint(
        architecture="rwkv6" if gated else "rwkv5",
        parameters={
            **parameters(config),
            "wkv.head_size": config.int("head_size", default=64, minimum=1),
            **(as_6 if gated else {}),
        },
        tensors=tuple(tensors),
        vocabulary_size=rows,
        read_vocabulary=read_rwkv_vocabulary,
        built_in_vocabulary=built_in_vocabulary(rows),
        chat=world_chat(config),
        metadata={"zhiyin.source_version": f"RWKV-{version}"},
    )


def _time_mix(weights: Weights, config: Config, layer: int) -> list[OutputTensor]:
    hidden = config.int("hidden_size")
    size = config.int("head_size", default=64, minimum=1)
    heads = head_count(config, size)
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    gated = f"{source}gate.weight" in weights and config.str("rwkv_version", default="5.2") != "5.0"
    matrices = ("receptance", "key", "value", "gate") if gated else ("receptance", "key", "value")
    # 5.2 has a number for each channel; 5.0 and 5.1 have one for each head, which all its channels share.
    each = (heads, size) if config.str("rwkv_version", default="5.2") == "5.2" else (heads,)
    logarithm = f"{source}time_faaaa" not in weights
    first = f"{source}time_first" if logarithm else f"{source}time_faaaa"
    return [
        weights.changed(
            f"{target}decay.weight", (hidden,), {f"{source}time_decay": each}, partial(_spread, shape=(hidden,))
        ),
        weights.changed(
            f"{target}first.weight",
            (heads, size),
            {first: each},
            partial(_spread, shape=(heads, size), logarithm=logarithm),
        ),
        *(weights.tensor(f"{target}{name}.weight", f"{source}{name}.weight", hidden, hidden) for name in matrices),
        *weights.affine(f"{target}ln", f"{source}ln_x", hidden),
        weights.tensor(f"{target}output.weight", f"{source}output.weight", hidden, hidden),
    ]


def _mixes(weights: Weights, layer: int, hidden: int) -> list[OutputTensor]:
    """Return RWKV-6's mixing and decay with low-rank parts of rank 1 and value 0: they change no bit."""
    source, target = f"blocks.{layer}.att.", f"blk.{layer}.time_mix_"
    none = {
        "lerp_x": (hidden,),
        "w1": (5, hidden),
        "w2": (5, hidden, 1),
        "decay_w1": (1, hidden),
        "decay_w2": (hidden, 1),
    }
    return [
        *(OutputTensor(f"{target}{name}.weight", shape, (), partial(_zeros, shape)) for name, shape in none.items()),
        weights.changed(
            f"{target}lerp_fused.weight",
            (5, 1, 1, hidden),
            {f"{source}time_mix_{mix}": (1, 1, hidden) for mix in _GATED_MIXES},
            _fused_lerps,
        ),
    ]


def _plain_mixes(weights: Weights, layer: int, hidden: int) -> list[OutputTensor]:
    source, target = f"blocks.{layer}.att.time_mix_", f"blk.{layer}.time_mix_lerp_"
    return [complement(weights, f"{target}{mix}.weight", f"{source}{mix}", hidden) for mix in "kvr"]


def _spread(values: np.ndarray, *, shape: Shape, logarithm: bool = False) -> np.ndarray:
    """Return a number for each channel, given one for each channel or each head."""
    wide = values.astype(np.float32)
    if logarithm:
        wide = np.exp(wide)
    heads = wide.shape[0]
    return np.broadcast_to(wide.reshape(heads, -1), (heads, int(np.prod(shape)) // heads)).reshape(shape)


def _fused_lerps(*mixes: np.ndarray) -> np.ndarray:
    """Return [decay's, key's, value's, receptance's, gate's]; the decay does not depend on the input."""
    lerps = [1 - mix.astype(np.float32).reshape(1, 1, -1) for mix in mixes]
    return np.stack([np.zeros_like(lerps[0]), *lerps])


def _zeros(shape: Shape) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _config_of(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    return implied_config(shapes, origin, "5", "Rwkv5ForCausalLM")


FAMILY = Family(
    name="rwkv5",
    title="RWKV-5",
    classes=("Rwkv5ForCausalLM",),
    model_types=("rwkv5",),
    blueprint=_blueprint,
    config_of=_config_of,
)
