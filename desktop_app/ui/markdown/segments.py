"""Cuts long paragraphs into pieces, so that none takes much longer than a frame to parse or to draw.

Marks (emphasis, links, code) do not reach over a cut. It is therefore made where none is open, unless that takes too long.
"""

from __future__ import annotations

import re

_PLACE = re.compile(r"[\s\[\]\\<&!]|\*+|_+|`+|~+|\$+|[。！？；]")
_WEIGHT = 20
"""A mark takes about as long as so many other characters."""
_LONG, _LONGEST = 5_000, 8_000
"""Weight from which on a cut is looked for, and at which one is made."""


def cuts(text: str) -> list[int]:
    """Return where a text is cut: positions in ascending order; those of a longer text begin with those of a shorter one."""
    if len(text) * (1 + _WEIGHT) < _LONG:
        return []
    places: list[int] = []
    while (cut := _next_cut(text, places[-1] if places else 0)) is not None:
        places.append(cut)
    return places


def _next_cut(text: str, start: int) -> int | None:
    """Return where the piece that begins at `start` ends; None: it is not long enough."""
    segment = _Segment(start)
    for match in _PLACE.finditer(text, start):
        position = match.start()
        if segment.weight(position) >= _LONGEST:
            return segment.forced_cut()
        if match[0].isspace() or match[0] in "。！？；":
            here = position if match[0].isspace() else position + 1
            if segment.is_closed and segment.weight(position) >= _LONG:
                return here
            if segment.weight(position) >= _LONG // 2:
                segment.possible = here
        else:
            segment.mark(match[0][0], position)
    return segment.forced_cut() if segment.weight(len(text)) >= _LONGEST else None


class _Segment:
    """A piece that is not cut off yet."""

    def __init__(self, start: int) -> None:
        self._start = self.possible = start
        self._marks = self._brackets = 0
        self._after_mark = start + 1
        self._counts = dict.fromkeys("*_`~$\\", 0)

    @property
    def is_closed(self) -> bool:
        return self._brackets <= 0 and not any(count % 2 for count in self._counts.values())

    def weight(self, end: int) -> int:
        return end - self._start + self._marks * _WEIGHT

    def forced_cut(self) -> int:
        """Return the last good place, or where the longest weight was reached."""
        if self.possible > self._start:
            return self.possible
        return max(self._after_mark, self._start + _LONGEST - self._marks * _WEIGHT)

    def mark(self, character: str, position: int) -> None:
        self._marks += 1
        self._after_mark = position + 1
        self._brackets += (character == "[") - (character == "]")
        if character in self._counts:
            self._counts[character] += 1
