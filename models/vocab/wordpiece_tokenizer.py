"""Cuts texts into WordPiece tokens exactly as the publishers' tokenizers do.

llama.cpp's own differ from them in Hangul, in the marks of Indian scripts, and in words of more than 100 characters.

Source of the rules: huggingface/tokenizers, normalizers/bert.rs, pre_tokenizers/bert.rs and models/wordpiece/mod.rs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

_LONGEST_WORD = 100
_MOST_CACHED = 50_000
_OTHER = ("Cc", "Cf", "Co")
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_SPACE = "\u2581"


class WordPieceTokenizer:
    """Tokens of one vocabulary."""

    def __init__(
        self, ids: Mapping[str, int], unknown: int, *, lowercase: bool = True, strip_accents: bool = True
    ) -> None:
        """Take a vocabulary as llama.cpp writes it: a word's first piece begins with U+2581, the others are bare."""
        self._ids = ids
        self._unknown = unknown
        self._lowercase, self._strip_accents = lowercase, strip_accents
        self._longest = max(map(len, ids), default=1)
        self._words: dict[str, tuple[int, ...]] = {}

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, without the ones at its ends."""
        found: list[int] = []
        for word in words(text, lowercase=self._lowercase, strip_accents=self._strip_accents):
            pieces = self._words.get(word)
            if pieces is None:
                if len(self._words) >= _MOST_CACHED:
                    self._words.clear()
                pieces = self._words[word] = tuple(self._pieces(word))
            found += pieces
        return found

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        rest = _SPACE + word
        while rest:
            size = min(len(rest), self._longest)
            while size and rest[:size] not in self._ids:
                size -= 1
            if not size or (not found and size == 1):  # the mark alone is no piece
                return [self._unknown]
            found.append(self._ids[rest[:size]])
            rest = rest[size:]
        return found


def words(text: str, *, lowercase: bool, strip_accents: bool) -> Iterator[str]:
    """Yield a text's words and punctuation marks, normalised."""
    text = "".join(map(_cleaned, text))
    if strip_accents:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
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
        if _is_punctuation(character):
            if at > start:
                yield word[start:at]
            yield character
            start = at + 1
    if start < len(word):
        yield word[start:]


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return _ASCII_PUNCTUATION.match(character) is not None
    return unicodedata.category(character).startswith("P")


_ASCII_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def _cleaned(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in _OTHER:
        return ""
    if character.isspace():
        return " "
    code = ord(character)
    return f" {character} " if any(first <= code <= last for first, last in _CHINESE) else character
