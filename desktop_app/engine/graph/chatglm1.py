"""ChatGLM-6B, the first generation: prefix attention and positions in two dimensions.

Source: the publisher's modeling_chatglm.py (THUDM/chatglm-6b); the order of operations was checked against its outputs.

The ids before <sop> are the prefix: all of them see each other. <sop> and what follows see what is before them. Position is the
index in the prefix and, after it, always that of [gMASK]; block position is 0 in the prefix and then counts 1, 2, 3 ... So a
new question changes every key and value of the prefix: they are computed anew, layer by layer, each layer in parts of the batch
size, so that the memory for it does not grow with the prompt; <sop> is computed with them, where a step of its own would read all
weights once more. What follows a prefix that stays is kept.

GGUF: `token_embd`, `blk.N.{attn_norm, attn_q, attn_k, attn_v, attn_output, ffn_norm, ffn_up, ffn_down}`, `output_norm`, all
but the first with weight and bias, and `output.weight`. The queries, keys and values of a head are its rows of query_key_value
in their order. Keys below `chatglm1.`: context_length, embedding_length, block_count, feed_forward_length, vocab_size,
attention.head_count, attention.layer_norm_epsilon, rope.freq_base, residual_scale, mask_token_id, gmask_token_id, sop_token_id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from desktop_app.engine.graph.architecture import LOGITS_CHUNK, MOST_LAYERS, WithoutSnapshots, real_number, whole_number
from desktop_app.engine.graph.builder import Builder, Tensor
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.key_values import KeyValues, causal_mask
from desktop_app.engine.graph.program import Program, Programs
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import ProgressCallback
from models.errors import BadFile
from models.gguf_constants import GGMLQuantizationType as Type

_PROGRAMS = 3
_CPU_BATCH = 64
"""On the CPU a stop is heard between operations: a product with more columns than these takes longer than a tenth of a second."""
_TILE = 4
"""Columns that ggml's products of repacked weights take at once: each of the others reads all weights again."""
_FRAME_NODES = 64
_LAYER_NODES = 96
_PART_NODES = 96


class _Affine(NamedTuple):
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class _Layer:
    attention_norm: _Affine
    query: _Affine
    key: _Affine
    value: _Affine
    output: _Affine
    mlp_norm: _Affine
    up: _Affine
    down: _Affine


class _Places(NamedTuple):
    """Where tokens are: I32 positions and block positions, I64 columns of the cache."""

    positions: Tensor
    blocks: Tensor
    columns: Tensor


class _Part(NamedTuple):
    """Columns of the prefix that are computed at once."""

    at: int
    size: int
    padded: int
    """The same with some without a meaning behind them, to fill the tiles."""


class ChatGLM1(WithoutSnapshots):
    """See `desktop_app.engine.graph.architecture.GraphModel`."""

    def __init__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> None:
        """Read the hyperparameters and name the tensors."""
        header = weights.header
        self._weights, self._backends = weights, backends
        self._hidden = whole_number(header, "embedding_length")
        self._heads = whole_number(header, "attention.head_count")
        self._size = self._hidden // self._heads
        if self._size * self._heads != self._hidden or self._size % 4:
            raise BadFile(
                "{path}: {heads} heads do not fit a width of {width}; convert it again.",
                path=header.path,
                heads=self._heads,
                width=self._hidden,
            )
        self._epsilon = real_number(header, "attention.layer_norm_epsilon", 1e-5)
        self._base = real_number(header, "rope.freq_base", 10000.0)
        self._residual = real_number(header, "residual_scale")
        trained = whole_number(header, "context_length")
        self.context = min(settings.context, trained) if settings.context else trained
        self.rows = whole_number(header, "vocab_size", most=1 << 24)
        self._gmask_id, self._sop_id = (
            whole_number(header, f"{name}_token_id", most=self.rows - 1) for name in ("gmask", "sop")
        )
        self._mask_id = header.parameter("mask_token_id")
        """Only looked for in prompts: what is no id is not found."""
        most = settings.batch if backends.gpus else min(settings.batch, _CPU_BATCH)
        self._batch = max(1, min(most, self.context))
        self._cache = KeyValues(settings.kv_type, self._heads, self._size, self.context)
        intermediate_size = whole_number(header, "feed_forward_length")
        self._embedding = weights.matrix("token_embd.weight", self.rows, self._hidden)
        layers = whole_number(header, "block_count", most=MOST_LAYERS)
        self._layers = [self._layer_of(layer, intermediate_size) for layer in range(layers)]
        self._output_norm = _Affine(*weights.norm("output_norm", self._hidden))
        self._head = weights.matrix("output.weight", self.rows, self._hidden)
        self._programs = Programs(_PROGRAMS)
        self.tokens: list[int] = []
        self.logits = np.zeros(self.rows, np.float32)
        self._prefix = 0
        """Tokens that saw each other when their keys and values were computed."""

    def load(self, on_progress: ProgressCallback) -> None:
        """Bring weights and the empty cache into memory."""
        self._weights.load(on_progress)
        self._cache.allocate(self._backends, self._weights.placement.layers)

    def with_special(self, ids: list[int]) -> list[int]:
        """Return the ids and, behind them, [gMASK] <sop>, unless a <sop> is there."""
        return ids if self._sop_id in ids else [*ids, self._gmask_id, self._sop_id]

    def truncate(self, count: int, prompt: int = 0) -> None:
        """Shorten what follows the prefix; a prefix that loses a token is of no more use."""
        if count < self._prefix:
            count = self._prefix = 0
        del self.tokens[count:]

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback) -> None:
        """Append tokens; computes everything anew where they make the prefix longer."""
        ids = list(ids)
        start = _index(self._sop_id, [*self.tokens, *ids])
        if start != self._prefix or not self.tokens:
            ids = [*self.tokens, *ids]
            last = self._compute_prefix(ids[:start], ids[start : start + 1], on_progress)
            ids = ids[len(self.tokens) :]
            if not ids:
                self.logits[:] = self._logits_of(last[-1:])[0]
                return
        for at in range(0, len(ids), self._batch):
            self._append(ids[at : at + self._batch], self.logits)
            on_progress(1.0)

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), rows] of a fresh sequence."""
        ids = list(ids)
        self.truncate(0)
        start = _index(self._sop_id, ids)
        logits = np.empty((len(ids), self.rows), np.float32)
        last = self._compute_prefix(ids[:start], [], lambda part: None, every=True)
        for at in range(0, start, LOGITS_CHUNK):
            end = min(at + LOGITS_CHUNK, start)
            logits[at:end] = self._logits_of(last[at:end])
        for at in range(start, len(ids), LOGITS_CHUNK):
            part = ids[at : at + LOGITS_CHUNK]
            self._append(part, logits[at : at + len(part)])
        return logits

    def read_state(self) -> dict[str, np.ndarray]:
        """Return the used part of the cache."""
        return {"prefix": np.array(self._prefix), "logits": self.logits} | self._cache.read(len(self.tokens))

    def write_state(self, tokens: list[int], state: Mapping[str, np.ndarray]) -> bool:
        """Take up a cache of the same model with the same type."""
        prefix, logits = state.get("prefix", np.array(-1)), state.get("logits", np.array(0))
        fits = self._cache.fits(len(tokens), state) and logits.shape == (self.rows,) and logits.dtype == np.float32
        if not fits or prefix.shape != () or int(prefix) != _index(self._sop_id, tokens):
            return False
        self._cache.write(state)
        self.tokens, self._prefix = tokens, int(prefix)
        self.logits[:] = logits
        return True

    def close(self) -> None:
        """Free graphs and cache."""
        self._programs.close()
        self._cache.close()

    def _layer_of(self, layer: int, intermediate_size: int) -> _Layer:
        prefix, weights, hidden = f"blk.{layer}.", self._weights, self._hidden
        return _Layer(
            _Affine(*weights.norm(f"{prefix}attn_norm", hidden)),
            _Affine(*weights.linear(f"{prefix}attn_q", hidden, hidden)),
            _Affine(*weights.linear(f"{prefix}attn_k", hidden, hidden)),
            _Affine(*weights.linear(f"{prefix}attn_v", hidden, hidden)),
            _Affine(*weights.linear(f"{prefix}attn_output", hidden, hidden)),
            _Affine(*weights.norm(f"{prefix}ffn_norm", hidden)),
            _Affine(*weights.linear(f"{prefix}ffn_up", intermediate_size, hidden)),
            _Affine(*weights.linear(f"{prefix}ffn_down", hidden, intermediate_size)),
        )

    # The prefix -------------------------------------------------------------------------------------------------------

    def _compute_prefix(
        self, ids: list[int], sop: list[int], on_progress: ProgressCallback, *, every: bool = False
    ) -> np.ndarray:
        """Compute the keys and values of the prefix and, where it is given, of the <sop> behind it.

        Returns:
            Their last hidden states, float32 [len(ids) + len(sop), hidden]; without `every` only that of the last one counts.
        """
        self.tokens, self._prefix = [], 0
        if not ids:
            return np.empty((0, self._hidden), np.float32)
        count = len(ids) + len(sop)
        parts = _parts(count, self._batch)
        columns = parts[-1].at + parts[-1].padded
        x = np.zeros((columns, self._hidden), np.float32)
        nodes = _FRAME_NODES + _PART_NODES * len(parts)
        scheduler = self._backends.scheduler(nodes)
        positions = np.arange(columns, dtype=np.int32)
        positions[len(ids) :] = self._mask_position(ids)
        inputs: dict[str, np.ndarray] = {
            "positions": positions,
            "blocks": (np.arange(columns) >= len(ids)).astype(np.int32),
            "columns": np.arange(columns),
            "mask": _without_sop(parts[-1], len(ids), count),
        }
        try:
            with closing(Program(self._backends, self._lookup(count), scheduler)) as program:
                program.run({"ids": np.array([*ids, *sop], np.int32)}, x[:count])
            for done, _ in enumerate(self._layers, 1):
                if every or done < len(self._layers):
                    builder = self._prefix_layer(done - 1, len(ids), count, parts, nodes)
                    out = [x[part.at : part.at + part.padded] for part in parts]
                else:
                    builder, out = self._last_layer(count, parts, nodes), [x[count - 1 : count]]
                with closing(Program(self._backends, builder, scheduler)) as program:
                    program.run({"x": x, **inputs}, *out)
                on_progress(done / len(self._layers))
        finally:
            scheduler.close()
        self.tokens, self._prefix = [*ids, *sop], len(ids)
        return x[:count]

    def _lookup(self, count: int) -> Builder:
        builder = Builder(_FRAME_NODES)
        builder.output("x", builder.rows(self._embedding, builder.input("ids", Type.I32, count)))
        return builder

    def _prefix_layer(self, layer: int, prefix: int, count: int, parts: list[_Part], nodes: int) -> Builder:
        """Return the graph of one layer: the keys and values of all parts, which then all queries see.

        Of `count` tokens those behind the prefix, if any, are in the last part and alone see themselves.
        """
        builder = Builder(nodes)
        places, normed = self._remember_parts(builder, layer, parts)
        queries = [
            self._ask(builder, layer, own, _cut(builder, places, part), part.padded)
            for part, own in zip(parts, normed, strict=True)
        ]
        for part, own, asked in zip(parts, normed, queries, strict=True):
            seen, mask = prefix, None
            if count > prefix and part is parts[-1]:
                seen, mask = count, builder.input("mask", Type.F16, count, part.padded)
            builder.output(f"x_{part.at}", self._answer(builder, layer, own, asked, part.padded, seen, mask))
        return builder

    def _last_layer(self, count: int, parts: list[_Part], nodes: int) -> Builder:
        """Return the graph of the last layer for the last of `count` tokens, which sees all; of the others keys and values do."""
        builder, layer = Builder(nodes), len(self._layers) - 1
        places, normed = self._remember_parts(builder, layer, parts)
        last = _Part(count - 1, 1, 1)
        own = builder.columns(normed[-1], self._hidden, last.at - parts[-1].at, 1)
        asked = self._ask(builder, layer, own, _cut(builder, places, last), 1)
        builder.output("x", self._answer(builder, layer, own, asked, 1, count, None))
        return builder

    def _remember_parts(self, builder: Builder, layer: int, parts: list[_Part]) -> tuple[_Places, list[Tensor]]:
        """Store the keys and values of all parts; return where their tokens are, and the layer norm of each part."""
        columns = parts[-1].at + parts[-1].padded
        x, places = builder.input("x", Type.F32, self._hidden, columns), self._places(builder, columns)
        normed = []
        for part in parts:
            own = builder.columns(x, self._hidden, part.at, part.padded)
            normed.append(self._remember(builder, layer, own, _cut(builder, places, part), part.padded, part.size))
        return places, normed

    def _logits_of(self, x: np.ndarray) -> np.ndarray:
        """Return float32 [n, rows] of last hidden states [n, hidden]."""
        builder = Builder(_FRAME_NODES)
        hidden = builder.input("x", Type.F32, self._hidden, len(x))
        builder.output("logits", self._logits(builder, hidden))
        logits = np.empty((len(x), self.rows), np.float32)
        with closing(Program(self._backends, builder)) as program:
            program.run({"x": x}, logits)
        return logits

    # What follows it --------------------------------------------------------------------------------------------------

    def _append(self, ids: list[int], logits: np.ndarray) -> None:
        """Compute <sop> or later tokens."""
        count, start = len(ids), len(self.tokens)
        seen = self._cache.seen(start + count)
        every = logits.ndim == 2
        program = self._programs.get((count, seen, every), lambda: self._program(count, seen, every))
        columns = np.arange(start, start + count)
        inputs: dict[str, np.ndarray] = {
            "ids": np.array(ids, np.int32),
            "positions": np.full(count, self._mask_position(self.tokens[: self._prefix]), np.int32),
            "blocks": (columns - self._prefix + 1).astype(np.int32),
            "columns": columns,
            "mask": causal_mask(columns, seen),
        }
        program.run(inputs, logits)
        self.tokens.extend(ids)

    def _program(self, count: int, seen: int, every: bool) -> Program:
        builder = Builder(_FRAME_NODES + _LAYER_NODES * len(self._layers))
        x = builder.rows(self._embedding, builder.input("ids", Type.I32, count))
        places = self._places(builder, count)
        mask = builder.input("mask", Type.F16, seen, count)
        for layer in range(len(self._layers)):
            normed = self._remember(builder, layer, x, places, count, count)
            queries = self._ask(builder, layer, normed, places, count)
            x = self._answer(builder, layer, normed, queries, count, seen, mask)
        if not every:
            x = builder.columns(x, self._hidden, count - 1, 1)
        builder.output("logits", self._logits(builder, x))
        return Program(self._backends, builder)

    def _mask_position(self, prefix: list[int]) -> int:
        """Return the index of [gMASK], or else of [MASK], in the prefix."""
        masks = [mask for mask in (self._gmask_id, self._mask_id) if mask in prefix]
        return prefix.index(masks[0]) if masks else max(len(prefix) - 1, 0)

    # Both -------------------------------------------------------------------------------------------------------------

    def _places(self, builder: Builder, count: int) -> _Places:
        return _Places(
            builder.input("positions", Type.I32, count),
            builder.input("blocks", Type.I32, count),
            builder.input("columns", Type.I64, count),
        )

    def _remember(self, builder: Builder, layer: int, x: Tensor, places: _Places, count: int, kept: int) -> Tensor:
        """Store the first keys and values of [hidden, count]; return its layer norm."""
        part, cache = self._layers[layer], self._cache.layers[layer]
        normed = builder.norm(x, *part.attention_norm, self._epsilon)
        keys = self._rotated(builder, builder.linear(normed, *part.key), places, count)
        for stored, target in (
            (builder.reshape(keys, self._hidden, count), cache.keys),
            (builder.linear(normed, *part.value), cache.values),
        ):
            real = stored if kept == count else builder.columns(stored, self._hidden, 0, kept)
            builder.set_rows(target, real, places.columns)
        return normed

    def _ask(self, builder: Builder, layer: int, normed: Tensor, places: _Places, count: int) -> Tensor:
        """Return the queries [size, count, heads] of a layer norm."""
        queries = self._rotated(builder, builder.linear(normed, *self._layers[layer].query), places, count)
        return builder.permute(queries, 0, 2, 1, 3)

    def _answer(
        self, builder: Builder, layer: int, normed: Tensor, queries: Tensor, count: int, seen: int, mask: Tensor | None
    ) -> Tensor:
        """Return the layer's output from its layer norm and queries; `seen` columns of the cache count.

        The residuals are the norms' outputs, scaled.
        """
        part, cache = self._layers[layer], self._cache.layers[layer]
        keys, values = (self._cache.view(builder, tensor, seen) for tensor in cache)
        attended = builder.attention(queries, keys, values, mask, 1 / sqrt(self._size))
        attended = builder.linear(builder.reshape(attended, self._hidden, count), *part.output)
        x = builder.call("ggml_scale", normed, self._residual) + attended
        normed = builder.norm(x, *part.mlp_norm, self._epsilon)
        intermediate_size = builder.gelu(builder.linear(normed, *part.up))
        return builder.call("ggml_scale", normed, self._residual) + builder.linear(intermediate_size, *part.down)

    def _rotated(self, builder: Builder, x: Tensor, places: _Places, count: int) -> Tensor:
        """Rotate the first half of each head by the position, the second by the block position."""
        half, bytes_ = self._size // 2, 4 * self._size
        first, second = (
            builder.rotate(
                builder.view(x, (half, self._heads, count), (bytes_, bytes_ * self._heads), 4 * half * i),
                positions,
                half,
                self._base,
            )
            for i, positions in enumerate((places.positions, places.blocks))
        )
        return builder.concat(first, second, 0)

    def _logits(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.linear(builder.norm(x, *self._output_norm, self._epsilon), self._head)


def _parts(count: int, batch: int) -> list[_Part]:
    """Cut so many columns into parts; the last one is padded."""
    parts = [_Part(at, min(batch, count - at), min(batch, count - at)) for at in range(0, count, batch)]
    return [*parts[:-1], parts[-1]._replace(padded=-(-parts[-1].size // _TILE) * _TILE)]


def _cut(builder: Builder, places: _Places, part: _Part) -> _Places:
    """Return where a part's tokens are."""
    return _Places(
        builder.view(places.positions, (part.padded,), (), 4 * part.at),
        builder.view(places.blocks, (part.padded,), (), 4 * part.at),
        builder.view(places.columns, (part.size,), (), 8 * part.at),
    )


def _without_sop(part: _Part, prefix: int, count: int) -> np.ndarray:
    """Return what is added to the scores of a part's tokens, of which those in the prefix do not see what is behind it.

    float16 [padded, count].
    """
    mask = np.zeros((part.padded, count), np.float16)
    mask[: max(prefix - part.at, 0), prefix:] = -np.inf
    return mask


def _index(token: int, ids: Sequence[int]) -> int:
    """Return where a token is first, or the length where it is not."""
    return ids.index(token) if token in ids else len(ids)
