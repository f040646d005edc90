"""Finds occurrences of many texts in another one, in time that does not grow with their number.

A regular expression of thousands of alternatives tries them all at every place, for minutes where a vocabulary or a text is
made for it, and Python runs nothing else meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_HEAD = 2
"""Characters by which texts are told apart at first."""
LONGEST = 256
"""Characters; no published token that is looked for has as many, and a longer one is not found."""


class LongestOf:
    """Finds texts, at each place the longest."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the texts; an empty one is found nowhere."""
        self._texts = frozenset(text for text in texts if 0 < len(text) <= LONGEST)
        lengths: dict[str, set[int]] = {}
        for text in self._texts:
            lengths.setdefault(text[:_HEAD], set()).add(len(text))
        self._lengths = {head: sorted(each, reverse=True) for head, each in lengths.items()}
        firsts = "".join(map(re.escape, sorted({text[0] for text in self._texts})))
        self._first = re.compile(f"[{firsts}]" if firsts else r"(?!)")

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def at(self, text: str, at: int) -> str:
        """Return the longest text that stands at this place; "": none."""
        for head in (text[at : at + _HEAD], text[at : at + 1]):
            for length in self._lengths.get(head, ()):
                if (part := text[at : at + length]) in self._texts:
                    return part
        return ""

    def found_in(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield each place where one stands, and which; they do not overlap."""
        at = 0
        while first := self._first.search(text, at):
            at = first.start()
            text_here = self.at(text, at)
            if text_here:
                yield at, text_here
            at += len(text_here) or 1
