"""RWKV-4: attention by a decaying average over all earlier values, each channel on its own.

Source: Peng et al. 2023, RWKV: Reinventing RNNs for the Transformer Era, equations 11 to 17, and appendix D for the form that
cannot overflow; BlinkDL/ChatRWKV, rwkv_pip_package/src/rwkv/model.py. `time_mix_decay` is -exp(time_decay) in our files, and the
lerps weigh the token before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from desktop_app.engine.graph.builder import Builder, Tensor
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.rwkv import RWKV, Norm, State
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings

_LARGEST, _SUMS = 2, 3
"""The state's columns: the largest exponent so far, then the sums of weighted values and of weights relative to it."""
_NO_EXPONENT = -1e30


@dataclass(frozen=True)
class _TimeMix:
    norm: Norm
    lerps: dict[str, Tensor]
    decay: Tensor
    first: Tensor
    key: Tensor
    value: Tensor
    receptance: Tensor
    output: Tensor


class RWKV4(RWKV):
    """See `desktop_app.engine.graph.architecture.GraphModel`."""

    mixing_columns = 3
    nodes_per_token = 10
    nodes_per_layer = 110

    def __init__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> None:
        """Name the tensors."""
        super().__init__(weights, backends, settings)
        self._mixes = [self._time_mix_of(weights, layer) for layer in range(self.layers)]

    def initial_mixing(self) -> np.ndarray:
        """Return no exponent and empty sums."""
        state = np.zeros((self.mixing_columns, self.hidden), np.float32)
        state[0] = _NO_EXPONENT
        return state

    def time_mix(self, builder: Builder, layer: int, x: Tensor, count: int, state: State) -> Tensor:
        """Return W_o (sigmoid(r) * wkv)."""
        mix = self._mixes[layer]
        normed = builder.norm(x, *mix.norm, self.epsilon)
        change = self.shifted(builder, normed, state.before(0), count) - normed
        state.snapshot(0, builder.columns(normed, self.hidden, count - 1, 1))
        r, k, v = (
            builder.linear(normed + change * mix.lerps[name], weight)
            for name, weight in (("r", mix.receptance), ("k", mix.key), ("v", mix.value))
        )
        average = self._average(builder, mix, k, v, count, state)
        return builder.linear(builder.apply("sigmoid", r) * average, mix.output)

    def _average(self, builder: Builder, mix: _TimeMix, k: Tensor, v: Tensor, count: int, state: State) -> Tensor:
        """Return the weighted average of values, all [hidden, count].

        Only the running maximum and the decaying sums go token by token, in place; the rest is computed for all at once.
        """
        size = self.hidden
        start = state.before(_LARGEST)
        largest = self._running_maximum(builder, k, start, mix.decay, count)
        state.snapshot(_LARGEST, builder.columns(largest, size, count - 1, 1))
        before = self.shifted(builder, largest, start, count)

        fade = builder.apply("exp", before + mix.decay - largest)
        weight = builder.apply("exp", k - largest)
        sums = builder.concat(builder.reshape(weight * v, size, 1, count), builder.reshape(weight, size, 1, count), 1)
        self._decaying_sums(builder, sums, fade, state.before(_SUMS, 2), count)
        pair = 8 * size
        state.snapshot(_SUMS, builder.view(sums, (size, 2), (4 * size,), pair * (count - 1)), 2)
        sums_before = builder.reshape(state.before(_SUMS, 2), size, 2, 1)
        if count > 1:
            earlier = builder.view(sums, (size, 2, count - 1), (4 * size, pair))
            sums_before = builder.concat(sums_before, earlier, 2)

        own = k + mix.first
        scale = builder.maximum(before, own)
        past, present = builder.apply("exp", before - scale), builder.apply("exp", own - scale)
        values = builder.view(sums_before, (size, count), (pair,))
        weights = builder.view(sums_before, (size, count), (pair,), 4 * size)
        return (past * values + present * v) / (past * weights + present)

    def _running_maximum(self, builder: Builder, k: Tensor, start: Tensor, decay: Tensor, count: int) -> Tensor:
        """Return p with p_t = max(p_(t-1) + decay, k_t)."""
        largest, last = builder.call("ggml_dup", k), start
        for t in range(count):
            own = builder.columns(largest, self.hidden, t, 1)
            excess = builder.apply("relu", last + decay - own)
            last = builder.call("ggml_add_inplace", own, excess)
        builder.expand(last)
        return largest

    def _decaying_sums(self, builder: Builder, sums: Tensor, fade: Tensor, start: Tensor, count: int) -> None:
        """Turn the summands s_t [hidden, 2] of `sums` into S_t = fade_t S_(t-1) + s_t."""
        size, last = self.hidden, start
        for t in range(count):
            own = builder.view(sums, (size, 2), (4 * size,), 8 * size * t)
            last = builder.call("ggml_add_inplace", own, last * builder.columns(fade, size, t, 1))
        builder.expand(last)

    def _time_mix_of(self, weights: Weights, layer: int) -> _TimeMix:
        prefix, hidden = f"blk.{layer}.", self.hidden
        matrices = ("key", "value", "receptance", "output")
        return _TimeMix(
            Norm(*weights.norm(f"{prefix}attn_norm", hidden)),
            {name: weights.vector(f"{prefix}time_mix_lerp_{name}.weight", hidden) for name in "kvr"},
            weights.vector(f"{prefix}time_mix_decay.weight", hidden),
            weights.vector(f"{prefix}time_mix_first.weight", hidden),
            *(weights.matrix(f"{prefix}time_mix_{name}.weight", hidden, hidden) for name in matrices),
        )
