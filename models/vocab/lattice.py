"""Unigram computed here, where llama.cpp cuts or falls back otherwise: the most likely pieces of a text.

Source: huggingface/tokenizers, models/unigram/model.rs (`encode_optimized`, `tokenize`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.vocab.piece_rules import PieceRules, bytes_of

_UNKNOWN_PENALTY = 10.0
_MOST_KEPT = 100_000
_LONGEST_KEPT = 32


class UnigramPieces:
    """Turns pieces into ids."""

    def __init__(self, ids: Mapping[str, int], scores: Sequence[float], rules: PieceRules) -> None:
        """Take the tokens' ids by their texts, and their scores by id."""
        self._ids = ids
        self._scores = {text: scores[number] for text, number in ids.items()}
        self._unknown_score = min(self._scores.values(), default=0.0) - _UNKNOWN_PENALTY
        self._lengths = _lengths_by_first(ids)
        self._unknown = rules.unknown
        self._bytes = bytes_of(ids) if rules.byte_fallback else {}
        self._kept: dict[str, list[int]] = {}

    def tokenize(self, piece: str) -> list[int]:
        """Return a piece's ids."""
        known = self._kept.get(piece)
        if known is not None:
            return known
        ids = self._found(piece)
        if len(piece) <= _LONGEST_KEPT and len(self._kept) < _MOST_KEPT:
            self._kept[piece] = ids
        return ids

    def _found(self, piece: str) -> list[int]:
        ids: list[int] = []
        for text in self._best(piece):
            if text in self._ids:
                ids.append(self._ids[text])
                continue
            spelled = [self._bytes.get(byte) for byte in text.encode("utf-8", "replace")]
            if self._bytes and None not in spelled:
                ids += [number for number in spelled if number is not None]
            elif self._unknown is not None:
                ids.append(self._unknown)
        return ids

    def _best(self, text: str) -> list[str]:
        """Return the most likely parts, unknown ones that follow each other as one."""
        best: list[tuple[float, int, bool]] = [(0.0, 0, False)] + [(float("-inf"), -1, False)] * len(text)
        for start in range(len(text)):
            score = best[start][0]
            alone = False
            for length in self._lengths.get(text[start], ()):
                known = self._scores.get(text[start : start + length]) if start + length <= len(text) else None
                if known is not None:
                    alone = alone or length == 1
                    if best[start + length][1] < 0 or score + known > best[start + length][0]:
                        best[start + length] = score + known, start, False
            if not alone and (best[start + 1][1] < 0 or score + self._unknown_score > best[start + 1][0]):
                best[start + 1] = score + self._unknown_score, start, True
        return _fused(text, best)


def _fused(text: str, best: Sequence[tuple[float, int, bool]]) -> list[str]:
    parts: list[str] = []
    end, last_unknown = len(text), False
    while end > 0:
        _, start, unknown = best[end]
        if unknown and last_unknown:
            parts[-1] = text[start:end] + parts[-1]
        else:
            parts.append(text[start:end])
        end, last_unknown = start, unknown
    return parts[::-1]


def _lengths_by_first(texts: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the lengths of the texts that begin with each character, the short ones first."""
    by_first: dict[str, set[int]] = {}
    for text in texts:
        if text:
            by_first.setdefault(text[0], set()).add(len(text))
    return {character: sorted(lengths) for character, lengths in by_first.items()}
