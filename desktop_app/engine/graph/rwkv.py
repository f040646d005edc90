"""Shared by RWKV-4 and RWKV-5: the recurrent sequence, its state and snapshots, the channel mix.

The state is a few vectors a layer, whatever the length of the sequence. It cannot be rolled back: `truncate` goes to a snapshot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from desktop_app.engine.graph.architecture import LOGITS_CHUNK, MOST_LAYERS, real_number, whole_number
from desktop_app.engine.graph.builder import Builder, Context, Tensor
from desktop_app.engine.graph.devices import Backends, Buffers
from desktop_app.engine.graph.library import ggml
from desktop_app.engine.graph.program import Program, Programs
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import ProgressCallback
from desktop_app.engine.state.snapshots import Snapshots
from desktop_app.engine.state.snapshots import State as Snapshot
from models.gguf_constants import GGMLQuantizationType as Type

_CHUNK = 32
"""Larger ones are hardly faster, and ggml reserves 20 KB for each node of a graph."""
_PROGRAMS = 3
_FRAME_NODES = 64


class Norm(NamedTuple):
    """A normalization's weight and bias."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class ChannelMix:
    """The second half of a block."""

    norm: Norm
    lerp_key: Tensor
    lerp_receptance: Tensor
    key: Tensor
    value: Tensor
    receptance: Tensor


class _Store(NamedTuple):
    """The state of the layers on one device, before and after a computation: float32 [hidden, columns x layers]."""

    before: Tensor
    after: Tensor
    context: Context
    layers: list[int]


class RWKV(ABC):
    """A recurrent model; see `GraphModel`."""

    context = 0
    mixing_columns: int
    """Vectors of `hidden` that the time mix of a layer remembers."""
    nodes_per_token: int
    """Upper bound of a layer's graph nodes for each token, and of those for each chunk."""
    nodes_per_layer: int

    def __init__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> None:
        """Name the tensors."""
        header = weights.header
        self._weights = weights
        self._backends = backends
        self.layers = whole_number(header, "block_count", most=MOST_LAYERS)
        self.hidden = whole_number(header, "embedding_length")
        intermediate_size = whole_number(header, "feed_forward_length")
        self.epsilon = real_number(header, "attention.layer_norm_epsilon", 1e-5)
        self.rows = whole_number(header, "vocab_size", most=1 << 24)
        self._chunk = max(1, min(settings.batch, _CHUNK))
        self._embedding = weights.matrix("token_embd.weight", self.rows, self.hidden)
        self._embedding_norm = Norm(*weights.norm("token_embd_norm", self.hidden))
        self._channel_mixes = [self._channel_mix_of(layer, intermediate_size) for layer in range(self.layers)]
        self._output_norm = Norm(*weights.norm("output_norm", self.hidden))
        self._head = weights.matrix("output.weight", self.rows, self.hidden)
        self._programs = Programs(_PROGRAMS)
        self._buffers = Buffers()
        self._stores: list[_Store] = []
        self.tokens: list[int] = []
        self.logits = np.zeros(self.rows, np.float32)
        self._snapshots = Snapshots()

    @abstractmethod
    def time_mix(self, builder: Builder, layer: int, x: Tensor, count: int, state: State) -> Tensor:
        """Return what the first half of a block adds to [hidden, count]."""

    @abstractmethod
    def initial_mixing(self) -> np.ndarray:
        """Return the time mix's state before the first token: float32 [mixing_columns, hidden]."""

    def with_special(self, ids: list[int]) -> list[int]:
        """RWKV begins a text with no special token."""
        return ids

    def load(self, on_progress: ProgressCallback) -> None:
        """Bring weights and the empty state into memory."""
        self._weights.load(on_progress)
        placement = self._weights.placement
        for device in dict.fromkeys(placement.layers):
            layers = [layer for layer in range(self.layers) if placement.layers[layer] == device]
            context = Context(2)
            shape = (self.hidden, self._columns * len(layers))
            store = _Store(context.new(Type.F32, *shape), context.new(Type.F32, *shape), context, layers)
            self._stores.append(store)
            self._buffers.allocate(context, self._backends.buffer_type(device))
        self._reset()

    def truncate(self, count: int, prompt: int = 0) -> None:
        """Go back to the last snapshot at or before `count`, unless the sequence is no longer than that."""
        if count >= len(self.tokens):
            return
        snapshot = self._snapshots.back_to(count)
        if snapshot is None:
            self._reset()
            return
        length, state = snapshot
        self._write(self._unpacked(state))
        del self.tokens[length:]

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback) -> None:
        """Append tokens, in chunks."""
        for start in range(0, len(ids), self._chunk):
            part = ids[start : start + self._chunk]
            self._append(part, self.logits)
            on_progress((start + len(part)) / len(ids))

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), rows] of a fresh sequence."""
        self._reset()
        logits = np.empty((len(ids), self.rows), np.float32)
        for start in range(0, len(ids), LOGITS_CHUNK):
            part = ids[start : start + LOGITS_CHUNK]
            self._append(part, logits[start : start + len(part)])
        return logits

    def snapshot(self) -> None:
        """Take a snapshot."""
        if self.tokens:
            self._snapshots.take(len(self.tokens), self._packed())

    @property
    def state_bytes(self) -> int:
        """Nothing that counts: a state has the size of a few tokens' keys and values."""
        return 0

    def states(self) -> Sequence[Snapshot]:
        """Return the snapshots and the state now."""
        now = len(self.tokens)
        taken = [snapshot for snapshot in self._snapshots.taken if snapshot[0] < now]
        return [*taken, (now, self._packed())] if now else ()

    def restore(self, tokens: Sequence[int], states: Sequence[Snapshot]) -> None:
        """Put states of the same model in the sequence's place."""
        self._reset()
        length, state = states[-1]
        if len(state) == len(self._packed()):
            self._write(self._unpacked(state))
            self.tokens.extend(tokens[:length])
            for snapshot in states:
                self._snapshots.take(*snapshot)

    def read_state(self) -> dict[str, np.ndarray]:
        """Return the state of all layers in their order, whichever devices hold them."""
        return {"layers": np.concatenate(self._read()), "logits": self.logits}

    def write_state(self, tokens: list[int], state: Mapping[str, np.ndarray]) -> bool:
        """Take up a state of the same model."""
        layers, logits = state.get("layers"), state.get("logits")
        if layers is None or not _alike(layers, np.concatenate(self._read())):
            return False
        if logits is None or not _alike(logits, self.logits):
            return False
        self._snapshots.clear()
        self._write(self._parted(layers))
        self.logits[:] = logits
        self.tokens = tokens
        return True

    def close(self) -> None:
        """Free graphs and state."""
        self._programs.close()
        self._buffers.close()
        for store in self._stores:
            store.context.close()

    def shifted(self, builder: Builder, x: Tensor, remembered: Tensor, count: int) -> Tensor:
        """Return the column before each of [hidden, count]: the remembered one, then all but the last."""
        if count == 1:
            return remembered
        return builder.concat(remembered, builder.columns(x, self.hidden, 0, count - 1), 1)

    @property
    def _columns(self) -> int:
        return 2 + self.mixing_columns

    def _channel_mix_of(self, layer: int, intermediate_size: int) -> ChannelMix:
        prefix, weights, hidden = f"blk.{layer}.", self._weights, self.hidden
        return ChannelMix(
            Norm(*weights.norm(f"{prefix}attn_norm_2", hidden)),
            weights.vector(f"{prefix}channel_mix_lerp_k.weight", hidden),
            weights.vector(f"{prefix}channel_mix_lerp_r.weight", hidden),
            weights.matrix(f"{prefix}channel_mix_key.weight", intermediate_size, hidden),
            weights.matrix(f"{prefix}channel_mix_value.weight", hidden, intermediate_size),
            weights.matrix(f"{prefix}channel_mix_receptance.weight", hidden, hidden),
        )

    def _append(self, ids: Sequence[int], logits: np.ndarray) -> None:
        """Compute a chunk; the state changes only when all of it is done."""
        count, every = len(ids), logits.ndim == 2
        program = self._programs.get((count, every), lambda: self._program(count, every))
        program.run({"ids": np.array(ids, np.int32)}, logits)
        for store in self._stores:
            ggml().ggml_backend_tensor_copy(store.after.pointer, store.before.pointer)
        self.tokens.extend(ids)

    def _program(self, count: int, every: bool) -> Program:
        builder = Builder(_FRAME_NODES + self.layers * (self.nodes_per_layer + self.nodes_per_token * count))
        ids = builder.input("ids", Type.I32, count)
        x = builder.norm(builder.rows(self._embedding, ids), *self._embedding_norm, self.epsilon)
        for store in self._stores:
            for place, layer in enumerate(store.layers):
                state = State(builder, store, place * self._columns, self.hidden)
                x = x + self.time_mix(builder, layer, x, count, state)
                x = x + self._channel_mix(builder, self._channel_mixes[layer], x, count, state)
                builder.expand(x)
        if not every:
            x = builder.columns(x, self.hidden, count - 1, 1)
        builder.output("logits", builder.linear(builder.norm(x, *self._output_norm, self.epsilon), self._head))
        return Program(self._backends, builder)

    def _channel_mix(self, builder: Builder, mix: ChannelMix, x: Tensor, count: int, state: State) -> Tensor:
        """Return sigmoid(R x_r) * V relu(K x_k)^2 (Peng et al. 2023, equations 18 to 20)."""
        normed = builder.norm(x, *mix.norm, self.epsilon)
        change = self.shifted(builder, normed, state.before(1), count) - normed
        state.snapshot(1, builder.columns(normed, self.hidden, count - 1, 1))
        keys = builder.linear(normed + change * mix.lerp_key, mix.key)
        gate = builder.linear(normed + change * mix.lerp_receptance, mix.receptance)
        values = builder.linear(builder.apply("sqr", builder.apply("relu", keys)), mix.value)
        return builder.apply("sigmoid", gate) * values

    def _reset(self) -> None:
        empty = np.concatenate([np.zeros((2, self.hidden), np.float32), self.initial_mixing()])
        self._write([np.tile(empty, (len(store.layers), 1)) for store in self._stores])
        self._snapshots.clear()
        self.tokens.clear()

    def _read(self) -> list[np.ndarray]:
        state = [np.empty((len(store.layers) * self._columns, self.hidden), np.float32) for store in self._stores]
        for store, values in zip(self._stores, state, strict=True):
            store.before.read(values)
        return state

    def _packed(self) -> bytes:
        return b"".join(values.tobytes() for values in self._read())

    def _unpacked(self, state: bytes | bytearray) -> list[np.ndarray]:
        return self._parted(np.frombuffer(state, np.float32).reshape(-1, self.hidden))

    def _parted(self, state: np.ndarray) -> list[np.ndarray]:
        """Split the state of all layers into those of the devices."""
        rows = [len(store.layers) * self._columns for store in self._stores]
        return np.split(state, np.cumsum(rows)[:-1])

    def _write(self, state: Sequence[np.ndarray]) -> None:
        for store, values in zip(self._stores, state, strict=True):
            store.before.write(values)


class State:
    """A layer's columns of the state while a graph is built."""

    def __init__(self, builder: Builder, store: _Store, first: int, hidden: int) -> None:
        """Columns are numbered from 0: the time mix's last input, the channel mix's, then what the time mix keeps."""
        self._builder = builder
        self._store = store
        self._first = first
        self._hidden = hidden

    def before(self, column: int, count: int = 1) -> Tensor:
        """Return columns as they were before the computation: [hidden, count]."""
        return self._builder.columns(self._store.before, self._hidden, self._first + column, count)

    def snapshot(self, column: int, values: Tensor, count: int = 1) -> None:
        """Store columns for the next computation, values of as many elements."""
        target = self._builder.columns(self._store.after, self._hidden, self._first + column, count)
        self._builder.copy(values, target)


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and first.dtype == second.dtype
