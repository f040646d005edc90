"""The dense decoder of LLaMA's shape past its trained length: the first Qwen, InternLM, whatever scales positions dynamically.

llama.cpp computes these models up to the trained length; this graph reads the same files. The order of operations is that of
LLaMA (Touvron et al. 2023): norms before attention and before the feed-forward network, grouped queries, SwiGLU. How positions
go on is `models.dynamic_rotary`'s matter. As in the publishers' code, a whole prompt is computed with the base that its length
chooses, so that a prompt of another length may find nothing of use in the cache.

GGUF: `token_embd`, `blk.N.{attn_norm, attn_qkv or attn_q, attn_k, attn_v, attn_output, ffn_norm, ffn_gate, ffn_up, ffn_down}`,
`output_norm`, and `output` unless it is the embedding; projections may have biases, queries and keys norms of each head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from math import sqrt
from typing import NamedTuple

import numpy as np

from desktop_app.engine.graph.architecture import LOGITS_CHUNK, MOST_LAYERS, WithoutSnapshots, real_number, whole_number
from desktop_app.engine.graph.builder import Builder, Tensor
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.key_values import KeyValues, LayerCache, causal_mask
from desktop_app.engine.graph.program import Program, Programs
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import ProgressCallback
from desktop_app.engine.state.snapshots import State
from models.dynamic_rotary import DynamicRotary, dynamic_rotary
from models.errors import BadFile, UnsupportedModel
from models.gguf_constants import GGMLQuantizationType as Type

_NEOX_ROTARY = {
    "llama": False,
    "internlm2": False,
    "minicpm": False,
    "qwen": True,
    "qwen2": True,
    "qwen3": True,
}
"""Architectures of llama.cpp that this graph computes, and whether they pair the halves of a head or its neighbours."""
_PROGRAMS = 2
_CPU_BATCH = 128
"""On the CPU a stop is heard between operations, so that products must not take long; but ggml unpacks quantized weights once for
each, and with 64 columns that costs half as much again."""
_FRAME_NODES = 64
_LAYER_NODES = 64


class _Linear(NamedTuple):
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class _Layer:
    attention_norm: Tensor
    projections: tuple[_Linear, ...]
    """Queries, keys and values; or one for all."""
    query_norm: Tensor | None
    key_norm: Tensor | None
    output: _Linear
    mlp_norm: Tensor
    gate: _Linear
    up: _Linear
    down: _Linear


class _Inputs(NamedTuple):
    """Positions and masks of a batch of n tokens."""

    positions: Tensor
    """I32 [n]"""
    columns: Tensor
    """I64 [n], of the cache"""
    divisors: Tensor
    """float32 [rotating dimensions / 2]"""
    mask: Tensor
    """float16 [seen, n]"""
    query_scale: Tensor | None
    """float32 [1, 1, n]"""
    cached_positions: Tensor | None
    """I32 [seen], where cached keys are not rotated yet"""


class Dense(WithoutSnapshots):
    """See `desktop_app.engine.graph.architecture.GraphModel`."""

    def __init__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> None:
        """Read the hyperparameters and name the tensors."""
        header = weights.header
        if header.architecture not in _NEOX_ROTARY:
            raise UnsupportedModel(
                "{path}: models of the architecture {architecture} run up to their trained length only; load it "
                "with a smaller context.",
                path=header.path,
                architecture=header.architecture,
            )
        self._weights, self._backends = weights, backends
        self._neox = _NEOX_ROTARY[header.architecture]
        self._hidden = whole_number(header, "embedding_length")
        self._heads = whole_number(header, "attention.head_count")
        self._kv_heads = whole_number(header, "attention.head_count_kv")
        self._size = whole_number(header, "attention.key_length")
        self._positions = self._read_positions()
        self._epsilon = real_number(header, "attention.layer_norm_rms_epsilon")
        self._embedding_scale = real_number(header, "embedding_scale", 1.0)
        self._residual_scale = real_number(header, "residual_scale", 1.0)
        self._logit_scale = real_number(header, "logit_scale", 1.0)
        self.context = settings.context
        self.rows = whole_number(header, "vocab_size", most=1 << 24)
        most = settings.batch if backends.gpus else min(settings.batch, _CPU_BATCH)
        self._batch = max(1, min(most, self.context))
        self._cache = KeyValues(settings.kv_type, self._kv_heads, self._size, self.context)
        self._embedding = weights.matrix("token_embd.weight", self.rows, self._hidden)
        layers = whole_number(header, "block_count", most=MOST_LAYERS)
        self._layers = [self._layer_of(layer) for layer in range(layers)]
        self._output_norm = weights.vector("output_norm.weight", self._hidden)
        tied = not weights.has("output.weight")
        self._head = self._embedding if tied else weights.matrix("output.weight", self.rows, self._hidden)
        self._programs = Programs(_PROGRAMS)
        self.tokens: list[int] = []
        self._bases: list[float] = []
        """With which each token of the sequence was computed."""
        self._prompt = 0
        """Length of the prompt that the sequence begins with."""
        self.logits = np.zeros(self.rows, np.float32)

    def load(self, on_progress: ProgressCallback) -> None:
        """Bring weights and the empty cache into memory."""
        self._weights.load(on_progress)
        self._cache.allocate(self._backends, self._weights.placement.layers)

    def with_special(self, ids: list[int]) -> list[int]:
        """Return the ids as they are: the tokenizer has put the special tokens around them."""
        return ids

    def truncate(self, count: int, prompt: int = 0) -> None:
        """Shorten the sequence; nothing of it is kept that a prompt of another length would compute otherwise."""
        del self.tokens[count:], self._bases[count:]
        if prompt:
            self._prompt = prompt
            base = self._positions.base_at(0, prompt)
            if any(other != base for other in self._bases):
                self.tokens.clear()
                self._bases.clear()
        elif not self.tokens:
            self._prompt = 0

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback) -> None:
        """Append tokens; those of an empty sequence are its prompt, or the beginning of one that `truncate` heard of."""
        if not self.tokens:
            self._prompt = max(self._prompt, len(ids))
        done = 0
        for part, base in self._parts(ids, self._batch):
            self._append(part, base, self.logits)
            done += len(part)
            on_progress(done / len(ids))

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), rows] of a fresh sequence, read as one prompt."""
        self.truncate(0, len(ids))
        logits = np.empty((len(ids), self.rows), np.float32)
        for part, base in self._parts(ids, LOGITS_CHUNK):
            start = len(self.tokens)
            self._append(part, base, logits[start : start + len(part)])
        return logits

    def read_state(self) -> dict[str, np.ndarray]:
        """Return the used part of the cache, and how it was computed."""
        computed = {"prompt": np.array(self._prompt), "bases": np.array(self._bases), "logits": self.logits}
        return computed | self._cache.read(len(self.tokens))

    def write_state(self, tokens: list[int], state: Mapping[str, np.ndarray]) -> bool:
        """Take up a cache of the same model with the same type."""
        prompt, bases, logits = (state.get(name, np.array("")) for name in ("prompt", "bases", "logits"))
        right = prompt.shape == () and prompt.dtype == np.int64 and bases.shape == (len(tokens),)
        right = right and bases.dtype == np.float64 and logits.shape == (self.rows,) and logits.dtype == np.float32
        if not right or not self._cache.fits(len(tokens), state):
            return False
        self._cache.write(state)
        self.tokens, self._bases, self._prompt = tokens, bases.tolist(), int(prompt)
        self.logits[:] = logits
        return True

    @property
    def state_bytes(self) -> int:
        """The used part of the cache."""
        return self._cache.bytes_of(len(self.tokens))

    def states(self) -> Sequence[State]:
        """Return the state now."""
        data = BytesIO()
        np.savez(data, **self.read_state())  # type: ignore[arg-type]
        return [(len(self.tokens), data.getvalue())] if self.tokens else ()

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put a state in the sequence's place; what is none of this model leaves it empty."""
        self.truncate(0)
        count, state = states[-1]
        with suppress(Exception), np.load(BytesIO(state), allow_pickle=False) as file:
            self.write_state(list(tokens[:count]), dict(file))

    def close(self) -> None:
        """Free graphs and cache."""
        self._programs.close()
        self._cache.close()

    # The file ---------------------------------------------------------------------------------------------------------

    def _read_positions(self) -> DynamicRotary:
        header, size = self._weights.header, self._size
        rotary_dim = whole_number(header, "rope.dimension_count", most=size)
        values = whole_number(header, "attention.value_length")
        try:
            rotary = dynamic_rotary(header.parameters, real_number(header, "rope.freq_base"), rotary_dim)
        except ValueError as error:
            raise BadFile(
                "{path} is damaged ({reason}); convert the model again.", path=header.path, reason=error
            ) from error
        if rotary is None or self._heads % self._kv_heads or size % 2 or rotary_dim % 2 or values != size:
            raise BadFile(
                "{path}: {heads} heads, {kv_heads} of keys, of {key_size} and {value_size} dimensions, "
                "{rotary_dim} of which rotate, do not fit together; convert the model again.",
                path=header.path,
                heads=self._heads,
                kv_heads=self._kv_heads,
                key_size=size,
                value_size=values,
                rotary_dim=rotary_dim,
            )
        return rotary

    def _layer_of(self, layer: int) -> _Layer:
        prefix, weights, hidden = f"blk.{layer}.", self._weights, self._hidden
        queries, keys = self._heads * self._size, self._kv_heads * self._size
        intermediate_size = whole_number(weights.header, "feed_forward_length")
        if weights.header.architecture == "qwen":  # whose configuration counts gate and up together
            intermediate_size //= 2
        return _Layer(
            weights.vector(f"{prefix}attn_norm.weight", hidden),
            (self._linear(f"{prefix}attn_qkv", queries + 2 * keys, hidden),)
            if weights.has(f"{prefix}attn_qkv.weight")
            else tuple(
                self._linear(f"{prefix}attn_{part}", rows, hidden)
                for part, rows in (("q", queries), ("k", keys), ("v", keys))
            ),
            self._optional(f"{prefix}attn_q_norm.weight", self._size),
            self._optional(f"{prefix}attn_k_norm.weight", self._size),
            self._linear(f"{prefix}attn_output", hidden, queries),
            weights.vector(f"{prefix}ffn_norm.weight", hidden),
            self._linear(f"{prefix}ffn_gate", intermediate_size, hidden),
            self._linear(f"{prefix}ffn_up", intermediate_size, hidden),
            self._linear(f"{prefix}ffn_down", hidden, intermediate_size),
        )

    def _linear(self, name: str, rows: int, columns: int) -> _Linear:
        return _Linear(self._weights.matrix(f"{name}.weight", rows, columns), self._optional(f"{name}.bias", rows))

    def _optional(self, name: str, size: int) -> Tensor | None:
        return self._weights.vector(name, size) if self._weights.has(name) else None

    # The sequence -----------------------------------------------------------------------------------------------------

    def _parts(self, ids: Sequence[int], most: int) -> list[tuple[Sequence[int], float]]:
        """Return at most so many of the next tokens at once, all of the same base, with that base."""
        start, at = len(self.tokens), 0
        parts = []
        for base, run in groupby(self._positions.base_at(start + i, self._prompt) for i in range(len(ids))):
            end = at + len(list(run))
            parts += [(ids[i : min(i + most, end)], base) for i in range(at, end, most)]
            at = end
        return parts

    def _append(self, ids: Sequence[int], base: float, logits: np.ndarray) -> None:
        """Compute tokens with a base; the sequence changes only when all of it is done."""
        count, start = len(ids), len(self.tokens)
        seen, every = self._cache.seen(start + count), logits.ndim == 2
        program = self._programs.get((count, seen, every), lambda: self._program(count, seen, every))
        columns = np.arange(start, start + count)
        inputs: dict[str, np.ndarray] = {
            "ids": np.array(ids, np.int32),
            "positions": columns.astype(np.int32),
            "columns": columns,
            "divisors": self._positions.divisors(base),
            "mask": causal_mask(columns, seen),
        }
        if self._positions.log_n:
            inputs["query_scale"] = self._positions.query_scale(start, count)
        if self._positions.turns_cached_keys:
            inputs["cached_positions"] = np.arange(seen, dtype=np.int32)
        program.run(inputs, logits)
        self.tokens.extend(ids)
        self._bases.extend([base] * count)

    # The graph --------------------------------------------------------------------------------------------------------

    def _program(self, count: int, seen: int, every: bool) -> Program:
        builder = Builder(_FRAME_NODES + _LAYER_NODES * len(self._layers))
        x = builder.rows(self._embedding, builder.input("ids", Type.I32, count))
        x = builder.scale(x, self._embedding_scale)
        inputs = self._inputs(builder, count, seen)
        for layer, cache in zip(self._layers, self._cache.layers, strict=True):
            normed = builder.rms_norm(x, layer.attention_norm, self._epsilon)
            attended = self._attention(builder, layer, cache, normed, inputs, count, seen)
            if layer is self._layers[-1] and not every:  # what follows is wanted of the last token only
                x, attended = (builder.columns(each, self._hidden, count - 1, 1) for each in (x, attended))
            x = x + builder.scale(attended, self._residual_scale)
            normed = builder.rms_norm(x, layer.mlp_norm, self._epsilon)
            gate = builder.apply("silu", builder.linear(normed, *layer.gate))
            intermediate_size = builder.linear(gate * builder.linear(normed, *layer.up), *layer.down)
            x = x + builder.scale(intermediate_size, self._residual_scale)
        logits = builder.linear(builder.rms_norm(x, self._output_norm, self._epsilon), self._head)
        builder.output("logits", builder.scale(logits, 1 / self._logit_scale))
        return Program(self._backends, builder)

    def _inputs(self, builder: Builder, count: int, seen: int) -> _Inputs:
        log_n, turns = self._positions.log_n, self._positions.turns_cached_keys
        return _Inputs(
            builder.input("positions", Type.I32, count),
            builder.input("columns", Type.I64, count),
            builder.input("divisors", Type.F32, self._positions.size // 2),
            builder.input("mask", Type.F16, seen, count),
            builder.input("query_scale", Type.F32, 1, 1, count) if log_n else None,
            builder.input("cached_positions", Type.I32, seen) if turns else None,
        )

    def _attention(
        self, builder: Builder, layer: _Layer, cache: LayerCache, x: Tensor, inputs: _Inputs, count: int, seen: int
    ) -> Tensor:
        """Store keys and values of [hidden, count] and return what the queries find in the first `seen` columns."""
        q, k, v = self._projected(builder, layer, x, count)
        q = self._rotated(builder, q, inputs.positions, inputs.divisors)
        if inputs.query_scale is not None:
            q = q * inputs.query_scale
        if inputs.cached_positions is None:
            k = self._rotated(builder, k, inputs.positions, inputs.divisors)
        builder.set_rows(cache.keys, builder.reshape(k, self._kv_heads * self._size, count), inputs.columns)
        builder.set_rows(cache.values, v, inputs.columns)
        keys = self._cache.view(builder, cache.keys, seen)
        if inputs.cached_positions is not None:
            keys = self._rotated_cache(builder, cache.keys, inputs.cached_positions, inputs.divisors, seen)
        values = self._cache.view(builder, cache.values, seen)
        attended = builder.attention(builder.permute(q, 0, 2, 1, 3), keys, values, inputs.mask, 1 / sqrt(self._size))
        return builder.linear(builder.reshape(attended, self._heads * self._size, count), *layer.output)

    def _projected(self, builder: Builder, layer: _Layer, x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries and keys [size, heads, count], normalised where the model does, and values [heads x size, count]."""
        size, heads, kv_heads = self._size, self._heads, self._kv_heads
        if len(layer.projections) == 1:
            packed = builder.linear(x, *layer.projections[0])
            row, head = 4 * size * (heads + 2 * kv_heads), 4 * size
            q = builder.view(packed, (size, heads, count), (head, row))
            k = builder.view(packed, (size, kv_heads, count), (head, row), head * heads)
            v = builder.view(packed, (size * kv_heads, count), (row,), head * (heads + kv_heads))
        else:
            q, k, v = (builder.linear(x, *projection) for projection in layer.projections)
            q, k = builder.reshape(q, size, heads, count), builder.reshape(k, size, kv_heads, count)
        if layer.query_norm is not None:
            q = builder.rms_norm(q, layer.query_norm, self._epsilon)
        if layer.key_norm is not None:
            k = builder.rms_norm(k, layer.key_norm, self._epsilon)
        return q, k, v

    def _rotated(self, builder: Builder, x: Tensor, positions: Tensor, divisors: Tensor) -> Tensor:
        return builder.rotate_by(x, positions, self._positions.size, divisors, halves=self._neox)

    def _rotated_cache(self, builder: Builder, keys: Tensor, positions: Tensor, divisors: Tensor, seen: int) -> Tensor:
        """Return cached keys [size, seen, heads] after their rotation, which ggml computes of 32- and 16-bit floats only."""
        cached = self._cache.by_column(builder, keys, seen)
        if self._cache.type not in (Type.F32, Type.F16):
            cached = builder.call("ggml_cast", cached, int(Type.F32))
        return builder.permute(self._rotated(builder, cached, positions, divisors), 0, 2, 1, 3)
