"""Sentencepiece's text normalisation: replacements compiled into a trie, spaces, the space in front.

Source: google/sentencepiece, src/normalizer.cc. The compiled form is a double array of 32-bit units (s-yata/darts-clone): the
base of the next node lies in bits 10 to 30 (shifted by 8 more with bit 9), bit 8 says that a value hangs below, bits 0 to 7 and
31 are the label; behind the array lie the replacements, each ended by a zero byte.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator

from models.vocab.longest import LONGEST, LongestOf

_SPACE = "\u2581"
_VALUE = (1 << 31) - 1
_LABEL = (1 << 31) | 0xFF
_LONG_CLUSTER = 6
"""Bytes."""
_JOINERS = "\u200c\u200d"


class Normalizer:
    """Turns a text into the characters that the pieces are made of."""

    def __init__(
        self,
        charsmap: bytes,
        texts: Iterable[str],
        *,
        add_dummy_prefix: bool,
        remove_extra_whitespaces: bool,
    ) -> None:
        """Take a model's rules.

        Args:
            charsmap: the compiled replacements, b"" for none.
            texts: those that are never changed (user-defined pieces).
            add_dummy_prefix: put a space in front.
            remove_extra_whitespaces: drop spaces at the ends and all but one in between.

        Raises:
            ValueError: the compiled replacements are damaged.
        """
        self._units, self._replacements = _split(charsmap)
        self._whole = LongestOf(texts)
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
            if match := self._whole.at(text, at):
                yield match
                at += len(match)
                continue
            size, replacement = self._longest(text, at)
            yield text[at] if size == 0 else replacement
            at += size or 1

    def _longest(self, text: str, at: int) -> tuple[int, str]:
        """Return how many characters the longest replaced text has here (0: none) and what takes its place."""
        units = self._units
        length, value, leaf = 0, 0, 0
        node = _base(units[0])
        for end in range(at, min(at + LONGEST, len(text))):
            for byte in text[end].encode("utf-8", "replace"):
                node ^= byte
                if node >= len(units) or units[node] & _LABEL != byte:
                    return length, self._replacement(value) if length else ""
                leaf = units[node] >> 8 & 1
                node ^= _base(units[node])
            if leaf:
                length, value = end + 1 - at, units[node] & _VALUE if node < len(units) else 0
        return length, self._replacement(value) if length else ""

    def _replacement(self, start: int) -> str:
        return _replacement_at(self._replacements, start)


class Graphemes:
    """The same compiled replacements as the tokenizers library takes them: of whole characters with their marks.

    Source: huggingface/spm_precompiled, lib.rs (`transform`, `normalize_string`): of the texts that a short cluster of characters
    begins with, the shortest that has a replacement gives that of the whole cluster; in longer clusters each character counts.
    """

    def __init__(self, charsmap: bytes) -> None:
        """Take the replacements; raises `ValueError` where they are damaged."""
        self._units, self._replacements = _split(charsmap)

    def replaced(self, text: str) -> str:
        """Return a text with its clusters replaced."""
        return "".join(self._parts(text)) if self._units else text

    def _parts(self, text: str) -> Iterator[str]:
        for cluster in _clusters(text):
            known = self._of(cluster) if len(cluster.encode("utf-8", "replace")) < _LONG_CLUSTER else None
            if known is not None:
                yield known
            else:
                for character in cluster:
                    kind = self._of(character)
                    yield character if kind is None else kind

    def _of(self, text: str) -> str | None:
        """Return the replacement of the shortest beginning that has one; None: none has."""
        node = _base(self._units[0])
        for byte in text.encode("utf-8", "replace"):
            node ^= byte
            if node >= len(self._units) or self._units[node] & _LABEL != byte:
                return None
            leaf = self._units[node] >> 8 & 1
            node ^= _base(self._units[node])
            if leaf:
                return _replacement_at(self._replacements, self._units[node] & _VALUE if node < len(self._units) else 0)
        return None


def _clusters(text: str) -> Iterator[str]:
    """Yield characters with the marks behind them; of longer clusters the rules make no difference here."""
    start = 0
    for at in range(1, len(text) + 1):
        joins = at < len(text) and (
            unicodedata.category(text[at]) in ("Mn", "Me", "Mc")
            or text[at] in _JOINERS
            or text[at - 1 : at + 1] == "\r\n"
        )
        if not joins or (text[at - 1] in "\r\n" and text[at - 1 : at + 1] != "\r\n"):
            yield text[start:at]
            start = at


def _split(charsmap: bytes) -> tuple[tuple[int, ...], bytes]:
    if not charsmap:
        return (), b""
    size = int.from_bytes(charsmap[:4], "little")
    if size % 4 or size == 0 or 4 + size > len(charsmap):
        raise ValueError("its text normalisation is damaged")
    return struct.unpack_from(f"<{size // 4}I", charsmap, 4), charsmap[4 + size :]


def _replacement_at(replacements: bytes, start: int) -> str:
    """Return the text that begins there, which a zero byte ends."""
    end = replacements.find(b"\0", start)
    return replacements[start : end if end >= 0 else None].decode("utf-8", "replace")


def _base(unit: int) -> int:
    return unit >> 10 << ((unit & 1 << 9) >> 6)
