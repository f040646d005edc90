"""Words without an end, which a label alone would never break."""

from __future__ import annotations

import re

_LONG_RUN = re.compile(r"\S{30}(?=\S)")
_BREAK = "\u200b"
"""A zero-width space: nothing is seen of it where the line goes on."""


def breakable(text: str) -> str:
    """Return a text to be looked at, not to be copied, whose lines can be broken at least every 30 characters."""
    return _LONG_RUN.sub(lambda run: run[0] + _BREAK, text)
