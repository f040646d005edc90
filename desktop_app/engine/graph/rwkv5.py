"""RWKV-5.0: matrix-valued states without a gate. 5.1 and 5.2 are written as llama.cpp's `rwkv6`.

Source: Peng et al. 2024, Eagle and Finch, section 4; BlinkDL/RWKV-LM, RWKV-v4neo/src/model.py (5.0 has no gate). ggml's WKV of
RWKV-6 computes it with a decay that is the same for all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converter.gguf_header import GGUFHeader
from desktop_app.engine.graph.architecture import whole_number
from desktop_app.engine.graph.builder import Builder, Tensor
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.rwkv import RWKV, Norm, State
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings
from models.errors import BadFile

_GROUP_EPSILON = 64e-5
"""Training divides by 8 before a group norm of epsilon 1e-5."""
_GPU_HEAD_SIZE = 64
_MATRIX = 2
"""The state's first column of the matrices."""


def runs_on_gpus(header: GGUFHeader) -> bool:
    """Tell whether GPUs compute this file right: ggml's kernels are made for the published heads, and Vulkan's does not check."""
    return bool(header.parameter("wkv.head_size") == _GPU_HEAD_SIZE)


@dataclass(frozen=True)
class _TimeMix:
    norm: Norm
    group_norm: Norm
    lerps: dict[str, Tensor]
    decay: Tensor
    first: Tensor
    key: Tensor
    value: Tensor
    receptance: Tensor
    output: Tensor


class RWKV5(RWKV):
    """See `desktop_app.engine.graph.architecture.GraphModel`."""

    nodes_per_token = 0
    nodes_per_layer = 110

    def __init__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> None:
        """Name the tensors.

        Raises:
            BadFile: the heads do not divide the width.
        """
        super().__init__(weights, backends, settings)
        self._size = whole_number(weights.header, "wkv.head_size", most=1024)
        if self.hidden % self._size:
            raise BadFile(
                "{path}: heads of {head_dim} do not divide {width}; convert it again.",
                path=weights.header.path,
                head_dim=self._size,
                width=self.hidden,
            )
        self.mixing_columns = self._size
        self._mixes = [self._time_mix_of(weights, layer) for layer in range(self.layers)]

    def initial_mixing(self) -> np.ndarray:
        """Return empty matrices."""
        return np.zeros((self.mixing_columns, self.hidden), np.float32)

    def time_mix(self, builder: Builder, layer: int, x: Tensor, count: int, state: State) -> Tensor:
        """Return W_o GroupNorm(wkv)."""
        mix, size, heads = self._mixes[layer], self._size, self.hidden // self._size
        normed = builder.norm(x, *mix.norm, self.epsilon)
        change = self.shifted(builder, normed, state.before(0), count) - normed
        state.snapshot(0, builder.columns(normed, self.hidden, count - 1, 1))
        k, v, r = (
            builder.reshape(builder.linear(normed + change * mix.lerps[name], weight), size, heads, count)
            for name, weight in (("k", mix.key), ("v", mix.value), ("r", mix.receptance))
        )
        decay = builder.apply("exp", builder.apply("neg", builder.apply("exp", mix.decay)))
        fade = builder.repeat(builder.reshape(decay, size, heads), size, heads, count)
        matrices = builder.reshape(state.before(_MATRIX, size), size * self.hidden)
        both = builder.call("ggml_rwkv_wkv6", k, v, r, mix.first, fade, matrices)
        state.snapshot(_MATRIX, builder.columns(both, self.hidden, count, size), size)
        y = builder.reshape(builder.columns(both, self.hidden, 0, count), size, heads * count)
        y = builder.reshape(builder.call("ggml_norm", y, _GROUP_EPSILON), self.hidden, count)
        return builder.linear(y * mix.group_norm.weight + mix.group_norm.bias, mix.output)

    def _time_mix_of(self, weights: Weights, layer: int) -> _TimeMix:
        prefix, hidden = f"blk.{layer}.", self.hidden
        matrices = ("key", "value", "receptance", "output")
        return _TimeMix(
            Norm(*weights.norm(f"{prefix}attn_norm", hidden)),
            Norm(*weights.norm(f"{prefix}time_mix_ln", hidden)),
            {name: weights.vector(f"{prefix}time_mix_lerp_{name}.weight", hidden) for name in "kvr"},
            weights.vector(f"{prefix}time_mix_decay.weight", hidden),
            weights.vector(f"{prefix}time_mix_first.weight", hidden // self._size, self._size),
            *(weights.matrix(f"{prefix}time_mix_{name}.weight", hidden, hidden) for name in matrices),
        )
