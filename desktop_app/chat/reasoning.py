"""Splits the text of a reply into reasoning and answer."""

from __future__ import annotations

from dataclasses import dataclass

_OPEN, _CLOSE = "<think>", "</think>"
THINKING_SECONDS = "thinking_seconds"
"""Among a message's facts: how long it reasoned."""


@dataclass(frozen=True)
class Parts:
    """The two parts of a reply."""

    reasoning: str
    answer: str
    thinking: bool = False
    """The reasoning has not ended yet."""


def split_reasoning(text: str) -> Parts:
    """Split a reply, whole or still growing; a template may have written the opening mark into the prompt already."""
    start = text.lstrip()
    if _CLOSE in text:
        reasoning, _, answer = text.partition(_CLOSE)
        return Parts(reasoning.replace(_OPEN, "", 1).strip(), answer.lstrip())
    if start.startswith(_OPEN):
        return Parts(start[len(_OPEN) :].lstrip(), "", thinking=True)
    if start and _OPEN.startswith(start):
        return Parts("", "", thinking=True)
    return Parts("", text)


class ReasoningSplitter:
    """Tells reasoning from the answer while a reply streams; together its pieces are the parts of `split_reasoning`.

    Only text that names no opening mark at its beginning is taken for an answer at once: that of a template which wrote the mark
    into the prompt has it put in front by the engine.
    """

    def __init__(self) -> None:
        """Begin a reply."""
        self._held = ""
        self._state = "begin"
        """begin, reasoning, gap (blanks between the two), answer."""
        self._said = False
        """Some reasoning is out: blanks at its beginning are not."""

    @property
    def reasons(self) -> bool:
        """The reasoning has begun and not ended."""
        return self._state == "reasoning"

    @property
    def is_over(self) -> bool:
        """No reasoning comes any more."""
        return self._state in ("gap", "answer")

    def feed(self, text: str) -> tuple[str, str]:
        """Take more of the reply; return what it adds to the reasoning and to the answer."""
        self._held += text
        reasoning = ""
        if self._state == "begin":
            self._begin()
        if self._state == "reasoning":
            reasoning = self._reasoning()
        if self._state == "gap":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "gap"
        if self._state != "answer":
            return reasoning, ""
        answer, self._held = self._held, ""
        return reasoning, answer

    def finish(self) -> tuple[str, str]:
        """Return the rest: of a reply that ended early, what looked like the beginning of a mark."""
        rest, self._held = self._held, ""
        return (rest.rstrip(), "") if self._state == "reasoning" else ("", rest)

    def _begin(self) -> None:
        start = self._held.lstrip()
        if start.startswith(_OPEN):
            self._held, self._state = start[len(_OPEN) :], "reasoning"
        elif not _OPEN.startswith(start):
            self._state = "answer"

    def _reasoning(self) -> str:
        """Take what is reasoning for sure: blanks at its ends and what may begin the closing mark are held back."""
        if not self._said:
            self._held = self._held.lstrip()
        thought, mark, rest = self._held.partition(_CLOSE)
        if mark:
            self._held, self._state = rest, "gap"
            return thought.rstrip()
        open_end = next((size for size in range(len(_CLOSE) - 1, 0, -1) if thought.endswith(_CLOSE[:size])), 0)
        ready = thought[: len(thought) - open_end].rstrip()
        self._held = thought[len(ready) :]
        self._said = self._said or bool(ready)
        return ready


class ReasoningClock:
    """Measures how long a reply reasons, while it streams."""

    def __init__(self, begun: str = "", seconds: float = 0.0) -> None:
        """Begin a reply, or go on with what was written of it; `seconds`: how long that reasoned."""
        self._splitter = ReasoningSplitter()
        self._splitter.feed(begun)
        self._before = self.seconds = seconds
        self._since: float | None = None

    def hear(self, text: str, now: float) -> bool:
        """Take more of the reply; return whether the reasoning ended with it."""
        if self._splitter.is_over:
            return False
        self._since = now if self._since is None else self._since
        reasoned = self._splitter.reasons
        reasoning, _ = self._splitter.feed(text)
        if not (reasoned or reasoning or self._splitter.reasons):
            return False
        self.seconds = self._before + now - self._since
        return self._splitter.is_over

    @property
    def facts(self) -> dict[str, float]:
        """The facts to store with the message; {}: no reasoning."""
        return {THINKING_SECONDS: round(self.seconds, 1)} if self.seconds else {}
