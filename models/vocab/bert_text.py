"""BERT's normaliser and pre-tokenizer, character by character.

Source: huggingface/tokenizers, normalizers/bert.rs and pre_tokenizers/bert.rs.
"""

from __future__ import annotations

import re
import unicodedata

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
_ASCII_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def is_punctuation(character: str) -> bool:
    """Tell whether a character is a word by itself."""
    if character.isascii():
        return _ASCII_PUNCTUATION.match(character) is not None
    return unicodedata.category(character).startswith("P")


def is_chinese(character: str) -> bool:
    """Tell whether a character gets spaces around it."""
    code = ord(character)
    return any(first <= code <= last for first, last in _CHINESE)


def cleaned(character: str) -> str:
    """Return a character without control characters, and any white space as a space."""
    if character.isascii() and character.isprintable():
        return character
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in _OTHER:
        return ""
    return " " if character.isspace() else character


def without_accents(text: str) -> str:
    """Return a text decomposed and without the marks that take no place."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
