"""A reply that was cut off, written as its model writes it, so that it can go on with it.

The text of a reply has `<think>` and `</think>` around its thought, whatever stands for them in the model's own tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"


class Written(NamedTuple):
    """A part of a reply as the model wrote it."""

    text: str
    is_mark: bool = False
    """It may be a control token; all else is text, whatever it says."""


def parts_of_thought(text: str) -> tuple[str, str | None]:
    """Return the thought and the answer of a reply that begins with a thought; None: it has not come to an answer."""
    thought, close, answer = text.lstrip().removeprefix(OPEN).partition(CLOSE)
    return thought, answer if close else None


def has_thought(text: str) -> bool:
    """Tell whether a reply begins with a thought."""
    return text.lstrip().startswith(OPEN)


def thinks_still(text: str) -> bool:
    """Tell whether the beginning of a reply ends within its thought."""
    return has_thought(text) and CLOSE not in text


def between_marks(text: str, marks: Mapping[str, str]) -> list[Written]:
    """Return a reply of a model that writes a thought between two marks.

    Args:
        text: the reply.
        marks: control tokens, each with what stands for it in a reply's text.
    """
    if not has_thought(text):
        return [Written(text)]
    opening, closing = (next((mark for mark, sign in marks.items() if sign == tag), tag) for tag in (OPEN, CLOSE))
    thought, answer = parts_of_thought(text)
    space = text[: len(text) - len(text.lstrip())]
    ended = [] if answer is None else [Written(closing, True), Written(answer)]
    return [Written(space), Written(opening, True), Written(thought), *ended]


def as_prompt(parts: Iterable[Written], plain: Callable[[str], str]) -> str:
    """Return parts as what follows a prompt; `plain` keeps text from becoming a control token."""
    return "".join(part.text if part.is_mark else plain(part.text) for part in parts)


def as_reply(parts: Iterable[Written], marks: Mapping[str, str]) -> str:
    """Return parts as the filters of a reply see them."""
    return "".join(marks.get(part.text, part.text) if part.is_mark else part.text for part in parts)
