"""The printable alphabet in which byte-level BPE writes bytes.

Source: openai/gpt-2, src/encoder.py (`bytes_to_unicode`): printable characters of Latin-1 stand for themselves, all other bytes
for the characters from U+0100 on.
"""

from __future__ import annotations

_PRINTABLE = (*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _PRINTABLE)
_LETTERS = {byte: chr(256 + number) for number, byte in enumerate(_HIDDEN)}

LETTERS = tuple(_LETTERS.get(byte, chr(byte)) for byte in range(256))
"""The alphabet."""
_BYTES = {ord(letter): byte for byte, letter in _LETTERS.items()}


def written(data: bytes) -> str:
    """Return bytes in the printable alphabet."""
    return data.decode("latin-1").translate(_LETTERS)


def read(text: str) -> bytes:
    """Return the bytes that a text in the printable alphabet stands for; other characters stand for themselves."""
    return b"".join(
        bytes([_BYTES.get(ord(character), ord(character))])
        if ord(character) in _BYTES or ord(character) < 256
        else character.encode("utf-8", "replace")
        for character in text
    )
