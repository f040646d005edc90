"""Marks that a model writes with spaces inside, where they are no tokens of its own: `<tool_call >`, `< / tool_call>`."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_SPACES = 8
"""In one mark."""
_SHORTEST = 6
"""Characters of a mark that is recognized so: shorter ones are too much like text."""
_BRACKETS = ("<", "[")


class ExactMarks:
    """Writes such marks as they should be, while a reply streams."""

    def __init__(self, marks: Sequence[str]) -> None:
        """Take the marks; those without a bracket at both ends must be exact."""
        self._marks = [mark for mark in marks if mark.startswith(_BRACKETS) and len(mark) >= _SHORTEST]
        self._starts = tuple({mark[0] for mark in self._marks})
        self._held = ""

    def feed(self, text: str) -> str:
        """Take more of a reply; return what of it is sure."""
        self._held += text
        ready, at = [], 0
        while (start := self._next(at)) >= 0:
            ready.append(self._held[at:start])
            ends = [(_end(self._held, start, mark), mark) for mark in self._marks]
            best = max(((end, mark) for end, mark in ends if end is not None and end > 0), default=None)
            if best is None and any(end is None for end, _ in ends):  # it may still become one
                self._held = self._held[start:]
                return "".join(ready)
            ready.append(best[1] if best else self._held[start])
            at = best[0] if best else start + 1
        ready.append(self._held[at:])
        self._held = ""
        return "".join(ready)

    def finish(self) -> str:
        """Return the rest."""
        rest, self._held = self._held, ""
        return rest

    def _next(self, at: int) -> int:
        places = [place for start in self._starts if (place := self._held.find(start, at)) >= 0]
        return min(places, default=-1)


def _end(text: str, start: int, mark: str) -> int | None:
    """Return where a mark ends that begins at `start`, spaces inside left out; 0: there is none; None: the text is too short."""
    at, spaces = start, 0
    for letter in mark:
        while at < len(text) and text[at] != letter and text[at].isspace():
            at, spaces = at + 1, spaces + 1
        if at >= len(text) and spaces <= _MOST_SPACES:
            return None
        if spaces > _MOST_SPACES or text[at] != letter:
            return 0
        at += 1
    return at
