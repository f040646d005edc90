"""Cuts texts into WordPiece tokens exactly as the publishers' tokenizers do.

llama.cpp's own differ from them in Hangul, in the marks of Indian scripts, and in words of more than 100 characters.

Source of the rules: huggingface/tokenizers, normalizers/bert.rs, pre_tokenizers/bert.rs and models/wordpiece/mod.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from models.vocab.bert_text import cleaned, is_chinese, is_punctuation, without_accents

LONGEST_WORD = 100
"""Characters."""
_MOST_CACHED = 50_000
_SPACE = "\u2581"


class WordPieces:
    """Turns words into ids."""

    def __init__(self, ids: Mapping[str, int], unknown: int, *, longest: int = LONGEST_WORD) -> None:
        """Take a vocabulary as llama.cpp writes it: a word's first piece begins with U+2581, the others are bare.

        `longest`: a word of more characters is unknown.
        """
        self._ids = ids
        self._unknown = unknown
        self._longest_word = longest
        self._longest = max(map(len, ids), default=1)
        self._words: dict[str, list[int]] = {}

    def tokenize(self, word: str) -> list[int]:
        """Return the token ids of a word."""
        pieces = self._words.get(word)
        if pieces is None:
            if len(self._words) >= _MOST_CACHED:
                self._words.clear()
            pieces = self._words[word] = self._pieces(word)
        return pieces

    def _pieces(self, word: str) -> list[int]:
        if len(word) > self._longest_word:
            return [self._unknown]
        ids: list[int] = []
        rest = _SPACE + word
        while rest:
            # Inside a word U+2581 is a character, which words' first pieces begin with here.
            size = 1 if ids and rest[0] == _SPACE else min(len(rest), self._longest)
            while size and rest[:size] not in self._ids:
                size -= 1
            if not size or (not ids and size == 1):  # the mark alone is no piece
                return [self._unknown]
            ids.append(self._ids[rest[:size]])
            rest = rest[size:]
        return ids


class WordPieceTokenizer:
    """Tokens of one vocabulary."""

    def __init__(
        self, ids: Mapping[str, int], unknown: int, *, lowercase: bool = True, strip_accents: bool = True
    ) -> None:
        """Take a vocabulary as `WordPieces` does."""
        self._pieces = WordPieces(ids, unknown)
        self._lowercase, self._strip_accents = lowercase, strip_accents

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, without the ones at its ends."""
        ids: list[int] = []
        for word in words(text, lowercase=self._lowercase, strip_accents=self._strip_accents):
            ids += self._pieces.tokenize(word)
        return ids


def words(text: str, *, lowercase: bool, strip_accents: bool) -> Iterator[str]:
    """Yield a text's words and punctuation marks, normalised."""
    text = "".join(map(_cleaned, text))
    if strip_accents:
        text = without_accents(text)
    if lowercase:
        text = "".join(map(str.lower, text))  # each by itself: no rule for the last sigma of a word
    for word in text.split(" "):
        yield from _by_punctuation(word)


def _by_punctuation(word: str) -> Iterator[str]:
    if word.isalnum():
        yield word
        return
    start = 0
    for at, character in enumerate(word):
        if is_punctuation(character):
            if at > start:
                yield word[start:at]
            yield character
            start = at + 1
    if start < len(word):
        yield word[start:]


def _cleaned(character: str) -> str:
    character = cleaned(character)
    return f" {character} " if character and is_chinese(character) else character
