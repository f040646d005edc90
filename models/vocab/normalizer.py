"""Sentencepiece's text normalisation: replacements compiled into a trie, spaces, the space in front.

Source: google/sentencepiece, src/normalizer.cc. The compiled form is a double array of 32-bit units (s-yata/darts-clone): the
base of the next node lies in bits 10 to 30 (shifted by 8 more with bit 9), bit 8 says that a value hangs below, bits 0 to 7 and
31 are the label; behind the array lie the replacements, each ended by a zero byte.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from models.vocab.longest import LONGEST, LongestOf

_SPACE = "\u2581"
_VALUE = (1 << 31) - 1
_LABEL = (1 << 31) | 0xFF


class Normalizer:
    """Turns a text into the characters that the pieces are made of."""

    def __init__(
        self,
        charsmap: bytes,
        whole: Iterable[str],
        *,
        add_dummy_prefix: bool,
        remove_extra_whitespaces: bool,
    ) -> None:
        """Take a model's rules.

        Args:
            charsmap: the compiled replacements, b"" for none.
            whole: texts that are never changed (user-defined pieces).
            add_dummy_prefix: put a space in front.
            remove_extra_whitespaces: drop spaces at the ends and all but one in between.

        Raises:
            ValueError: the compiled replacements are damaged.
        """
        self._units, self._replacements = _split(charsmap)
        self._whole = LongestOf(whole)
        self._prefix = add_dummy_prefix
        self._single_spaces = remove_extra_whitespaces

    def normalize(self, text: str) -> str:
        """Return the normalised text, spaces written as U+2581."""
        result = "".join(self._replaced(text))
        if self._single_spaces:
            result = re.sub(" +", " ", result).strip(" ")
        if result and self._prefix:
            result = " " + result
        return result.replace(" ", _SPACE)

    def _replaced(self, text: str) -> Iterator[str]:
        if not self._units:
            yield text
            return
        at = 0
        while at < len(text):
            if whole := self._whole.at(text, at):
                yield whole
                at += len(whole)
                continue
            size, replacement = self._longest(text, at)
            yield text[at] if size == 0 else replacement
            at += size or 1

    def _longest(self, text: str, at: int) -> tuple[int, str]:
        """Return how many characters the longest replaced text has here (0: none) and what takes its place."""
        units = self._units
        found, value, leaf = 0, 0, 0
        node = _base(units[0])
        for end in range(at, min(at + LONGEST, len(text))):
            for byte in text[end].encode("utf-8", "replace"):
                node ^= byte
                if node >= len(units) or units[node] & _LABEL != byte:
                    return found, self._replacement(value) if found else ""
                leaf = units[node] >> 8 & 1
                node ^= _base(units[node])
            if leaf:
                found, value = end + 1 - at, units[node] & _VALUE if node < len(units) else 0
        return found, self._replacement(value) if found else ""

    def _replacement(self, start: int) -> str:
        end = self._replacements.find(b"\0", start)
        return self._replacements[start : end if end >= 0 else None].decode("utf-8", "replace")


def _split(charsmap: bytes) -> tuple[tuple[int, ...], bytes]:
    if not charsmap:
        return (), b""
    size = int.from_bytes(charsmap[:4], "little")
    if size % 4 or size == 0 or 4 + size > len(charsmap):
        raise ValueError("its text normalisation is damaged")
    return struct.unpack_from(f"<{size // 4}I", charsmap, 4), charsmap[4 + size :]


def _base(unit: int) -> int:
    return unit >> 10 << ((unit & 1 << 9) >> 6)
