"""Tells tool calls from text while a reply streams: no mark and no half call ever reaches the text.

A reply is its reasoning, which may be missing, then an answer of text and calls in any order. What could become a call is held
back until it is known to be none; spaces around calls belong to neither.
"""

from __future__ import annotations

from models.chat.calls.loose_marks import ExactMarks
from models.chat.calls.notation import LONGEST_CALL, CallNotation, Tools, after_space, broken
from models.chat.reply import ToolCall

_OPEN, _CLOSE = "<think>", "</think>"
_IN_THOUGHT = (
    "A call that stands inside of a thought is not made: end the thought with </think>, and write the call behind it."
)
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
        self._cut = False
        self._exact = ExactMarks((*notation.openings, *notation.closings))
        self._thought: list[str] = []
        """What the reasoning says, as long as it has not ended."""
        self._state = self._at_start
        self._false = 0
        """Openings that began no call."""
        self._tried = 0
        """How much of a call was there when it was last read."""

    def feed(self, text: str) -> str:
        """Take what the model wrote and return what can be shown."""
        self._held += self._exact.feed(text)
        return self._scan(final=False)

    def finish(self, *, cut: bool = False) -> str:
        """Return the rest; `cut`: the model did not end here, so that what may be half a mark or half a call is left out."""
        self._held += self._exact.finish()
        self._cut = cut
        if cut:
            self._held = self._held[: len(self._held) - self._begun_mark()]
        shown = self._scan(final=True)
        rest, self._held = self._held.rstrip(), ""
        if not cut and self._state == self._in_reasoning and _first("".join(self._thought), self._notation.openings)[1]:
            self.calls.append(broken(_IN_THOUGHT))
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
            shown = self._before_open_end(texts, final)
            self._thought += [shown or ""]
            return shown
        self._thought = []
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
        begins_call = is_call or self._held.lstrip().startswith(self._notation.openings or ("\0",))
        return "\n\n" if self.calls and self._held.strip() and not begins_call else ""

    def _in_text(self, final: bool) -> str | None:
        """Show everything up to an opening, without the closing tags of what was never opened."""
        openings, closings = self._notation.openings, self._notation.closings
        at, mark = _first(self._held, (*openings, *closings))
        if mark is None:
            return self._before_open_end((*openings, *closings), final)
        shown = self._take(at)
        if mark in closings:
            self._take(len(mark))
            return shown
        self._state = self._in_call
        return shown.rstrip()

    def _in_call(self, final: bool) -> str | None:
        """Read a call when it is whole."""
        if not final and len(self._held) == self._tried:
            return None
        self._tried = len(self._held)
        self._held = _once(self._held.lstrip(), self._notation.openings)
        overlong = len(self._held) > LONGEST_CALL
        waits = not final and _is_twice_perhaps(self._held, self._notation.openings)
        read = None if waits else self._notation.read(self._held, self._tools, final or overlong)
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
        taken = self._take(read.end)
        if not read.calls:  # it only looked like one
            self._false += 1
            self._state = self._in_text if self._false < _MOST_CALLS else self._in_rest
            return "" if self._cut else taken
        if len(self.calls) >= _MOST_CALLS:
            self._state = self._past_last
        return ""

    def _after_call(self, final: bool) -> str | None:
        """Leave out spaces, and closing tags of what was never opened."""
        openings, closings = self._notation.openings, (*self._notation.closings, *self._notation.strays)
        self._held = self._held.lstrip()
        while stray := next(filter(self._held.startswith, closings), None):
            self._held = self._held[len(stray) :].lstrip()
        if not self._held or (not final and _open_end(self._held, (*openings, *closings)) == len(self._held)):
            return None
        if self._notation.begins is not None:
            self._state = self._at_answer
            return ""
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

    def _begun_mark(self) -> int:
        """Return how many characters at the end are no text yet, as long as nothing says that they are."""
        if self._state in (self._in_text, self._after_call):
            notation = self._notation
            return _open_end(self._held, (*notation.openings, *notation.closings, *notation.strays))
        if self._state == self._in_reasoning:
            return _open_end(self._held, (_CLOSE,))
        return len(self._held) if self._state in (self._at_start, self._at_answer) else 0

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def calls_in(notation: CallNotation, reply: str, tools: Tools) -> list[ToolCall]:
    """Return the calls of a whole reply."""
    scanner = CallScanner(notation, tools)
    scanner.feed(reply)
    scanner.finish()
    return scanner.calls


def _once(text: str, openings: tuple[str, ...]) -> str:
    """Return a text that begins with an opening without the same one before it, which a model wrote twice."""
    opening, at = next(filter(text.startswith, openings), ""), 0
    while opening and text.startswith(opening, following := after_space(text, at + len(opening))):
        at = following
    return text[at:]


def _is_twice_perhaps(text: str, openings: tuple[str, ...]) -> bool:
    """Tell whether a text that begins with an opening may go on with the same one."""
    opening = next(filter(text.startswith, openings), "")
    rest = text[len(opening) :].lstrip()
    return bool(opening and rest) and rest != opening and opening.startswith(rest)


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
