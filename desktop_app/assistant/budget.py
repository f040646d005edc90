"""The context budget of tool results: what does not fit is left out, with a notice."""

from __future__ import annotations

_LARGEST = 200_000
"""Characters of one result, whatever fits: no model makes use of more."""
_RESERVE = 4
"""A quarter of the context stays free for the answer."""
_LEAST = 200
"""Characters that are kept in any case."""


def shortened(text: str, most: int) -> str:
    """Return a text of at most about `most` characters: its beginning and its end, with a notice between."""
    most = max(most, _LEAST)
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[… {left_out} characters were left out here: the result does not fit …]\n{text[-tail:]}"


def room(context: int, used: int) -> int:
    """Return how many tokens a result may take: half of what is left beside the reserve, so that another one fits, too.

    Args:
        context: tokens that the context holds; 0: no limit.
        used: tokens that the chat takes now.
    """
    if not context:
        return _LARGEST
    return max(0, (context - context // _RESERVE - used) // 2)


def fitting(text: str, tokens: int, most: int) -> str:
    """Return a text of `tokens` tokens in at most `most` of them, as far as their lengths are alike."""
    if tokens <= most:
        return shortened(text, _LARGEST)
    return shortened(text, min(_LARGEST, int(len(text) * most / tokens)))
