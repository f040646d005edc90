"""The tokens of a reply as text, its first and its last one as the publisher's decoder writes them."""

from __future__ import annotations

from collections.abc import Mapping

from desktop_app.engine.runner import Vocabulary


class ReplyPieces:
    """Turns one reply's tokens into bytes as they come."""

    def __init__(self, vocabulary: Vocabulary, marks: Mapping[int, bytes], *, begins: bool) -> None:
        """Begin a reply.

        Args:
            vocabulary: of the model.
            marks: control tokens that are seen, and what stands for them.
            begins: the first token is a text's first; otherwise the text goes on.
        """
        self._vocabulary = vocabulary
        self._marks = marks
        self._begins = begins
        self._after_word = b""

    def add(self, token: int) -> bytes:
        """Return what a token adds to the text, b"" for a control token that is not seen."""
        piece = self._marks.get(token) or self._vocabulary.piece(token)
        if not piece:
            return b""
        if self._begins and token not in self._marks:
            piece = self._vocabulary.first_piece(token)
        self._begins = False
        before, self._after_word = self._after_word, b""
        if self._vocabulary.ends_word(token):
            piece, self._after_word = piece[:-1], piece[-1:]
        return before + piece

    def rest(self) -> bytes:
        """Return the space behind the last word, with which the text can be gone on with."""
        rest, self._after_word = self._after_word, b""
        return rest
