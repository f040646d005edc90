"""BPE computed here, for pieces that the publisher's own steps have cut and llama.cpp would cut again or merge otherwise.

Source: huggingface/tokenizers, models/bpe/model.rs (`merge_word`) and word.rs (`merge_all`): of all neighbours the pair of the
lowest rank is merged first, of equal ones the leftmost.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping

from models.vocab.byte_level import written
from models.vocab.piece_rules import PieceRules, bytes_of

_MOST_KEPT = 100_000
_LONGEST_KEPT = 32


class BytePairs:
    """Turns pieces into ids."""

    def __init__(self, ids: Mapping[str, int], merges: Iterable[tuple[int, int]], rules: PieceRules) -> None:
        """Take the tokens' ids by their texts, and the merges, the first ones first."""
        self._ids = ids
        self._rules = rules
        self._bytes = bytes_of(ids) if rules.byte_fallback else {}
        texts = {number: text for text, number in ids.items()}
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (first, second) in enumerate(merges):
            made = texts.get(first, "") + texts.get(second, "")[len(rules.prefix) :]
            if made in ids:
                self._ranks[first, second] = rank, ids[made]
        self._kept: dict[str, list[int]] = {}

    def tokenize(self, piece: str) -> list[int]:
        """Return a piece's ids; characters that there is no token for are left out, as the publisher's library does."""
        known = self._kept.get(piece)
        if known is not None:
            return known
        ids = self._found(written(piece.encode("utf-8", "replace")) if self._rules.writes_bytes else piece)
        if len(piece) <= _LONGEST_KEPT and len(self._kept) < _MOST_KEPT:
            self._kept[piece] = ids
        return ids

    def _found(self, text: str) -> list[int]:
        if self._rules.ignore_merges and text in self._ids:
            return [self._ids[text]]
        return self._merged([*self._characters(text)])

    def _characters(self, text: str) -> Iterator[int]:
        rules, ids = self._rules, self._ids
        is_unknown = False
        for at, character in enumerate(text):
            written_as = f"{rules.prefix if at else ''}{character}{rules.suffix if at == len(text) - 1 else ''}"
            number = ids.get(written_as)
            spelled = [] if number is not None else self._spelled(written_as)
            if number is not None:
                is_unknown = False
                yield number
            elif spelled:
                yield from spelled
            elif rules.unknown is not None:
                if not (is_unknown and rules.fuse_unknown):
                    yield rules.unknown
                is_unknown = True

    def _spelled(self, text: str) -> list[int]:
        """Return the ids of a text's bytes; []: not all are tokens."""
        ids = [self._bytes.get(byte) for byte in text.encode("utf-8", "replace")] if self._bytes else []
        return [number for number in ids if number is not None] if None not in ids else []

    def _merged(self, symbols: list[int]) -> list[int]:
        after = [*range(1, len(symbols)), -1]
        before = [*range(-1, len(symbols) - 1)]
        waiting: list[tuple[int, int, int, int, int]] = []

        def offer(left: int, right: int) -> None:
            pair = symbols[left], symbols[right]
            known = self._ranks.get(pair)
            if known is not None:
                heapq.heappush(waiting, (known[0], left, *pair, known[1]))

        for place in range(len(symbols) - 1):
            offer(place, place + 1)
        while waiting:
            _, left, first, second, made = heapq.heappop(waiting)
            right = after[left]
            if right < 0 or symbols[left] != first or symbols[right] != second:
                continue  # one of the two was merged meanwhile
            symbols[left], symbols[right] = made, -1
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
                offer(left, after[left])
            if before[left] >= 0:
                offer(before[left], left)
        return [symbol for symbol in symbols if symbol >= 0]
