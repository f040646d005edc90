"""Tells tool calls from text while a reply streams: no mark and no half call ever reaches the text.

A reply is its reasoning, which may be missing, then an answer of text and calls in any order. What could become a call is held
back until it is known to be none; spaces around calls belong to neither.
"""

from __future__ import annotations

from models.chat.calls.notation import LONGEST_CALL, CallNotation, Tools, broken
from models.chat.reply import ToolCall

_OPEN, _CLOSE = "<think>", "</think>"
_MOST_CALLS = 64
"""In one reply: what a model writes after them repeats itself. So many openings that begin none are read, too."""


class CallScanner:
    """The text and the calls of one reply."""

    def __init__(self, notation: CallNotation, tools: Tools) -> None:
        """Begin a reply."""
        self.calls: list[ToolCall] = []
        """Those that are whole; with `finish` also what is left of a broken one."""
        self._notation = notation
        self._tools = tools
        self._held = ""
        self._state = self._at_start
        self._false = 0
        """Openings that began no call."""
        self._tried = 0
        """How much of a call was there when it was last read."""

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        self._held += text
        return self._scan(final=False)

    def finish(self) -> str:
        """Return the rest."""
        shown = self._scan(final=True)
        rest, self._held = self._held.rstrip(), ""
        return shown + rest

    def _scan(self, *, final: bool) -> str:
        """Go on as far as the text allows; each state returns what it shows, or None where it needs more."""
        shown = []
        while (piece := self._state(final)) is not None:
            shown.append(piece)
        return "".join(shown)

    def _at_start(self, final: bool) -> str | None:
        """Before the reply's first word: does it begin with reasoning?"""
        start = self._held.lstrip()
        if start.startswith(_OPEN):
            self._state = self._in_reasoning
            return self._take(self._held.index(_OPEN) + len(_OPEN))
        if not final and _OPEN.startswith(start):
            return None
        self._state = self._at_answer
        return ""

    def _in_reasoning(self, final: bool) -> str | None:
        """Show everything up to the closing tag."""
        texts = (_CLOSE, *self._notation.openings) if self._notation.in_reasoning else (_CLOSE,)
        at, mark = _first(self._held, texts)
        if mark is None:
            return self._before_open_end(texts, final)
        if mark == _CLOSE:
            self._state = self._at_answer
            return self._take(at + len(_CLOSE))
        self._state = self._in_call
        return self._take(at) + _CLOSE

    def _at_answer(self, final: bool) -> str | None:
        """Before the answer's first word: is it a call without an opening?"""
        if self._notation.begins is None:
            self._state = self._in_text
            return ""
        if not final and not self._held.strip():
            return None
        is_call = self._notation.begins(self._held.lstrip(), self._tools)
        if is_call is None and not final and len(self._held) < LONGEST_CALL:
            return None
        self._state = self._in_call if is_call else self._in_text
        return ""

    def _in_text(self, final: bool) -> str | None:
        """Show everything up to an opening."""
        at, opening = _first(self._held, self._notation.openings)
        if opening is None:
            return self._before_open_end(self._notation.openings, final)
        shown = self._take(at)
        self._state = self._in_call
        return shown.rstrip()

    def _in_call(self, final: bool) -> str | None:
        """Read a call when it is whole."""
        if not final and len(self._held) == self._tried:
            return None
        self._tried = len(self._held)
        start = len(self._held) - len(self._held.lstrip())
        overlong = len(self._held) > LONGEST_CALL
        read = self._notation.read(self._held[start:], self._tools, final or overlong)
        if read is None and not final and not overlong:
            return None
        self._state, self._tried = self._after_call, 0
        if read is None:
            self._held = ""
            self.calls.append(
                broken("The call cannot be read: it is not whole, or not in the form that was described.")
            )
            return ""
        self.calls += read.calls
        taken = self._take(start + read.end)
        if not read.calls:  # it only looked like one
            self._false += 1
            self._state = self._in_text if self._false < _MOST_CALLS else self._in_rest
            return taken
        if len(self.calls) >= _MOST_CALLS:
            self._state = self._past_last
        return ""

    def _after_call(self, final: bool) -> str | None:
        """Leave out spaces, and closing tags of what was never opened."""
        openings, closings = self._notation.openings, self._notation.closings
        self._held = self._held.lstrip()
        while stray := next(filter(self._held.startswith, closings), None):
            self._held = self._held[len(stray) :].lstrip()
        if not self._held or (not final and _open_end(self._held, (*openings, *closings)) == len(self._held)):
            return None
        self._state = self._in_text
        return "" if any(map(self._held.startswith, openings)) else "\n\n"

    def _past_last(self, final: bool) -> str | None:
        """Leave out whatever comes."""
        self._held = ""
        return None

    def _in_rest(self, final: bool) -> str | None:
        """Show whatever comes: each further opening would be compared with all of the text behind it."""
        return self._take(len(self._held)) or None

    def _before_open_end(self, texts: tuple[str, ...], final: bool) -> str | None:
        """Show what can no longer become the beginning of one of these texts, nor a space in front of it."""
        ready = self._held if final else self._held[: len(self._held) - _open_end(self._held, texts)]
        ready = ready.rstrip() if texts and not final else ready
        return self._take(len(ready)) or None

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def calls_in(notation: CallNotation, reply: str, tools: Tools) -> list[ToolCall]:
    """Return the calls of a whole reply."""
    scanner = CallScanner(notation, tools)
    scanner.feed(reply)
    scanner.finish()
    return scanner.calls


def _first(text: str, wanted: tuple[str, ...]) -> tuple[int, str | None]:
    """Return where the first of these texts stands, the longest one where several do."""
    matches = [(at, -len(part), part) for part in wanted if (at := text.find(part)) >= 0]
    return (min(matches)[0], min(matches)[2]) if matches else (-1, None)


def _open_end(text: str, wanted: tuple[str, ...]) -> int:
    """Return how many characters at the end could be the beginning of one of these texts."""
    longest = max(map(len, wanted), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(part.startswith(text[-size:]) for part in wanted):
            return size
    return 0
