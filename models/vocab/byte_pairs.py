"""Byte-level BPE computed here, for pieces that the publisher's own steps have cut and llama.cpp would cut again.

Source: huggingface/tokenizers, models/bpe/model.rs and word.rs (`merge_all`): of all neighbours the pair of the lowest rank is
merged first, of equal ones the leftmost.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from models.vocab.byte_level import written

_MOST_KEPT = 100_000
_LONGEST_KEPT = 32


class BytePairs:
    """Turns pieces into ids."""

    def __init__(self, ids: Mapping[str, int], merges: Sequence[tuple[str, str]], *, ignore_merges: bool) -> None:
        """Take the tokens' ids by their texts in the printable alphabet of bytes, and the merges, the first ones first.

        `ignore_merges`: a piece that is a token as a whole is not merged from bytes.
        """
        self._ids = ids
        self._ranks: dict[tuple[str, str], int] = {}
        for rank, pair in enumerate(merges):
            self._ranks[pair] = rank
        self._ignore_merges = ignore_merges
        self._kept: dict[str, list[int]] = {}

    def tokenize(self, piece: str) -> list[int]:
        """Return a piece's ids; bytes that there is no token for are left out, as the publisher's library does."""
        known = self._kept.get(piece)
        if known is not None:
            return known
        found = self._found(written(piece.encode("utf-8", "replace")))
        if len(piece) <= _LONGEST_KEPT and len(self._kept) < _MOST_KEPT:
            self._kept[piece] = found
        return found

    def _found(self, text: str) -> list[int]:
        if self._ignore_merges and text in self._ids:
            return [self._ids[text]]
        return [self._ids[symbol] for symbol in self._merged(text) if symbol in self._ids]

    def _merged(self, text: str) -> list[str]:
        symbols = list(text)
        after = [*range(1, len(symbols)), -1]
        before = [*range(-1, len(symbols) - 1)]
        waiting: list[tuple[int, int, str, str]] = []

        def offer(left: int, right: int) -> None:
            pair = symbols[left], symbols[right]
            rank = self._ranks.get(pair)
            if rank is not None:
                heapq.heappush(waiting, (rank, left, *pair))

        for place in range(len(symbols) - 1):
            offer(place, place + 1)
        while waiting:
            _, left, first, second = heapq.heappop(waiting)
            right = after[left]
            if right < 0 or symbols[left] != first or symbols[right] != second:
                continue  # one of the two was merged meanwhile
            symbols[left], symbols[right] = first + second, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
                offer(left, after[left])
            if before[left] >= 0:
                offer(before[left], left)
        return [symbol for symbol in symbols if symbol]
