"""Vocabularies of whole words (WordLevel): a piece is a token or unknown.

Source: huggingface/tokenizers, models/wordlevel/mod.rs.
"""

from __future__ import annotations

from collections.abc import Mapping


class WholePieces:
    """Turns pieces into ids."""

    def __init__(self, ids: Mapping[str, int], unknown: int | None) -> None:
        """Take the tokens' ids by their texts, and the token of unknown ones."""
        self._ids = ids
        self._unknown = unknown

    def tokenize(self, piece: str) -> list[int]:
        """Return a piece's ids."""
        number = self._ids.get(piece, self._unknown)
        return [] if number is None else [number]
