"""What a model thought and what it answered, told apart in the text of its reply."""

from __future__ import annotations

from dataclasses import dataclass

_OPEN, _CLOSE = "<think>", "</think>"


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
