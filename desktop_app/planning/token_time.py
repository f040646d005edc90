"""Predicted time of a token: products of weights, attention, recurrent states, a cost for every operation.

The products' times come from the measurement of this computer (`ReadSpeed`). The other numbers were fitted once to models of 100
million to a billion parameters on two cores; tests/benchmarks/bench_speed_prediction.py holds them to shapes of other models.
"""

from __future__ import annotations

from collections.abc import Mapping

from desktop_app.planning.footprint import Footprint, kv_cache, recurrent_blocks
from desktop_app.sequences import rounded_context
from desktop_app.system.read_speed import ReadSpeed, Weights
from models.family import Metadata

EARLY = 128
"""Tokens of a chat for which speeds are told: its beginning."""
_IN_STEP = 0.89
"""Of the speed that threads reach when none waits for the others: ggml gives each four parts of a product to compute, and the
fastest waits for half a part."""
_TURN_SECONDS = 12e-9
"""Of a thread and a row besides, of types that are not repacked: threads take turns by 64 rows, each of which begins in other
pages (8 to 16 ns in one thread that leaves every second 64 out)."""
_OPERATION_SECONDS = 2.4e-6
"""Of any operation besides its reading: all threads meet after it."""
_OPERATION_ALONE_SECONDS = 1e-6
"""The same with one thread."""
_ATTENTION_OPERATIONS = 8
"""Of a block, without weights: rotations, writes to the cache, attention, residuals, activation."""
_CHATGLM1_OPERATIONS = 18
"""The same of ChatGLM-6B, whose positions have two dimensions and whose residuals are scaled."""
_EXPERTS_OPERATIONS = 12
"""Of a block besides, which choose experts and add up what they say."""
_RECURRENT_OPERATIONS = 21
"""Of a block with a delta rule or Mamba-2: convolution, gates, copies of the state."""
_OPERATIONS: Mapping[str, int] = {"rwkv4": 46, "rwkv5": 21, "rwkv6": 36, "rwkv7": 45}
"""Of a block of these architectures."""
_CACHE_READING = 0.3
"""Of the speed for float16 weights: a head's keys lie between those of other heads."""
_MATRIX_STATE_SECONDS = 1.5e-9
"""Of a byte of a recurrent state in one thread: it is multiplied column by column."""
_STATE_SECONDS: Mapping[str, float] = {"granitehybrid": 0.2e-9, "rwkv4": 0.0}
"""The same of these architectures: Mamba-2, and vectors that the operations read."""


def seconds_of_token(
    architecture: str,
    parameters: Metadata,
    foot: Footprint,
    weights: Mapping[str, Weights],
    operations: int,
    speed: ReadSpeed,
) -> float:
    """Return how long the processor takes for one token at the beginning of a chat.

    Args:
        architecture: `general.architecture`.
        parameters: hyperparameters without the architecture's prefix.
        foot: what the model takes.
        weights: what the token is multiplied by, by type.
        operations: that weights take part in.
        speed: of this computer.
    """
    alone = speed.threads == 1
    of_a_byte = _STATE_SECONDS.get(architecture, _MATRIX_STATE_SECONDS)
    state = foot.state * of_a_byte / max(1, speed.threads)
    attention = _attended_bytes(architecture, parameters) / (_CACHE_READING * speed.of("F16", copied=True))
    count = operations + _operations_besides(architecture, parameters, len(foot.blocks))
    each = _OPERATION_ALONE_SECONDS if alone else _OPERATION_SECONDS
    return _seconds_of_products(weights, speed) + state + attention + count * each


def _seconds_of_products(weights: Mapping[str, Weights], speed: ReadSpeed) -> float:
    """Return how long the products take, with the weights where a load puts them."""
    copied = any(name in speed.repacked for name in weights)
    reading = sum(read.bytes / speed.of(name, copied=copied) for name, read in weights.items())
    rows = sum(read.rows * speed.of_row(name) for name, read in weights.items())
    if speed.threads == 1:
        return reading + rows
    turns = (
        sum(read.rows for name, read in weights.items() if name not in speed.repacked)
        * _TURN_SECONDS
        / max(1, speed.threads)
    )
    return reading / _IN_STEP + rows + turns


def _operations_besides(architecture: str, parameters: Metadata, blocks: int) -> int:
    """Return the operations that no weights take part in."""
    recurrent = recurrent_blocks(architecture, parameters)
    of_recurrent = recurrent * _OPERATIONS.get(architecture, _RECURRENT_OPERATIONS)
    experts = _EXPERTS_OPERATIONS * blocks if parameters.get("expert_used_count") else 0
    of_attention = _CHATGLM1_OPERATIONS if architecture == "chatglm1" else _ATTENTION_OPERATIONS
    return of_recurrent + (blocks - recurrent) * of_attention + experts


def _attended_bytes(architecture: str, parameters: Metadata) -> float:
    """Return the bytes of keys and values that one token's heads read; heads that share them read them again."""
    if recurrent_blocks(architecture, parameters) == parameters.get("block_count"):
        return 0.0
    cache = kv_cache(parameters, EARLY, "f16")
    heads, shared = (parameters.get(f"attention.head_count{part}") for part in ("", "_kv"))
    again = heads / shared if isinstance(heads, int) and isinstance(shared, int) and shared > 0 else 1.0
    return sum(cache) * again * EARLY / rounded_context(EARLY)
