"""Untrusted text for terminals and labels: control and direction characters are shown, never obeyed."""

from __future__ import annotations

import re

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Cc, line separators, direction marks, and surrogates, which stand for bytes that are no UTF-8."""

_TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""The same where lines, tabs and the direction marks of Arabic and Hebrew belong to the text."""


def visible(text: str) -> str:
    r"""Return a text of one line in which hidden characters are escaped as in Python: \n, \x1b, \u202e."""
    return _HIDDEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    r"""Return a text of several lines for a terminal: what would command it is escaped, as \x1b; lines and tabs stay."""
    return _TERMINAL.sub(_escaped, text.replace("\r\n", "\n"))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
