"""Facts about sequences of tokens that the engine and the memory plan share."""

from __future__ import annotations

from collections.abc import Sequence

_SNAPSHOTS, _FEWEST_SNAPSHOTS = 16, 2
_CONTEXT_STEP = 256
_SNAPSHOT_BYTES = 96 * 1024 * 1024

GUESS_COUNTS = (1, 3, 7, 15)
"""Tokens that a step may guess and verify: with the one before them they fill the tiles of ggml's matrix products. Others cost
as much as the next larger number."""
MOST_GUESSES = GUESS_COUNTS[-1]
DRAFT_CONTEXT = 1024
"""Tokens of a chat's end that a model sees which guesses for another one."""


def common_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """Return with how many equal items both begin."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one is not other and one != other:
            break
        count += 1
    return count


def rounded_context(context: int) -> int:
    """Return the tokens that llama.cpp makes room for in each sequence."""
    return -(-context // _CONTEXT_STEP) * _CONTEXT_STEP


def snapshot_count(state: int) -> int:
    """Return how many earlier states of these many bytes are kept: a recurrent state cannot be rolled back in part."""
    return max(_FEWEST_SNAPSHOTS, min(_SNAPSHOTS, _SNAPSHOT_BYTES // state)) if state else 0
