"""Regular expressions of published tokenizers, as Python's own.

They are untrusted, and written for Oniguruma: only what tokenizers are made of is taken, and nothing that repeats a group.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

SPACES = "\\t\\n\\v\\f\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
"""White space of Unicode, for a set; Python's own has four control characters more."""
_MOST_CHARACTERS = 4000
_MOST_UNBOUNDED = 4
"""Repeats without an end in one alternative: each may try every place of a text."""
_WORDS = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc")
_CIRCLED = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
CIRCLED_LETTERS = frozenset(chr(code) for first, last in _CIRCLED for code in range(first, last + 1))
"""Letters to Unicode's property Alphabetic, symbols by their category."""
_MORE_WORDS = CIRCLED_LETTERS | frozenset("²³¹¼½¾")
_PLAIN_ESCAPES = "rntfv"
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d{1,4}(?:,\d{0,4})?\})[?+]?")
_EXACTLY = re.compile(r"(\{\d{1,4}\})(?=\+)")
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_GROUP = re.compile(r"\?(?:i:|:|!|=|<!|<=)")
_PROPERTY = re.compile(r"[pP]\{\^?([A-Za-z]{1,20})\}")


class NotTaken(ValueError):
    """An expression has what is not known here."""


def compiled(expression: str) -> re.Pattern[str]:
    """Return an expression ready for Python.

    Raises:
        NotTaken: it has something that is not taken.
    """
    if len(expression) > _MOST_CHARACTERS:
        raise NotTaken("it is too long")
    try:
        return re.compile(_Reader(expression).read(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise NotTaken(str(error)) from error


class _Reader:
    """Writes one expression anew."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._unbounded = 0
        self._groups: list[int] = []
        """Of each open group, how many repeats there were before it."""
        self._repeats = 0

    def read(self) -> str:
        written = "".join(self._parts())
        if self._groups:
            raise NotTaken("a group has no end")
        return written

    def _parts(self) -> Iterator[str]:
        while self._at < len(self._text):
            character = self._next()
            if character == "[":
                yield self._repeated(self._set())
            elif character == "(":
                yield self._open()
            elif character == ")":
                yield self._close()
            elif character == "\\":
                yield self._repeated(self._escaped())
            elif character in "*+?{}":
                raise NotTaken("a repeat of nothing")
            elif character in "|^$":
                self._unbounded = 0 if character == "|" else self._unbounded
                yield character
            elif character == ".":
                yield self._repeated(r"[^\n]")
            else:
                yield self._repeated(re.escape(character))

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match

    def _open(self) -> str:
        match = self._match(_GROUP)
        if match is None and self._text[self._at : self._at + 1] == "?":
            raise NotTaken("a kind of group")
        self._groups.append(self._repeats)
        return f"({match[0] if match else '?:'}"

    def _close(self) -> str:
        if not self._groups:
            raise NotTaken("a group has no beginning")
        before = self._groups.pop()
        quantifier = self._quantifier()
        if quantifier not in ("", "?") and self._repeats > before + 1:
            raise NotTaken("a repeat of repeats")
        return ")" + quantifier

    def _repeated(self, atom: str) -> str:
        """Return what stands for one character, with its quantifier."""
        match = _EXACTLY.match(self._text, self._at)
        if match is None:
            return atom + self._quantifier()
        self._at = match.end(1)
        return f"(?:{atom}{match[1]}){self._quantifier()}"

    def _quantifier(self) -> str:
        match = self._match(_QUANTIFIER)
        if match is None:
            return ""
        written = match[0]
        if written[0] == "{" and written[-1] == "+":
            written = _repeat_of_repeats(written[:-1])
        if written[0] in "*+" or written.rstrip("?+").endswith(",}"):
            self._unbounded += 1
            self._repeats += 1
        if self._unbounded > _MOST_UNBOUNDED:
            raise NotTaken("too many repeats")
        if written[-1] == "+" and len(written) > 1 and sys.version_info < (3, 11):
            raise NotTaken("a possessive repeat")
        return written

    def _escaped(self) -> str:
        return f"[{self._class()}]"

    def _class(self) -> str:
        """Return what an escape stands for, inside of a set."""
        match = self._match(_PROPERTY)
        if match is not None:
            negated = (match[0][0] == "P") is not ("^" in match[0])
            return _ranges(match[1], negated)
        character = self._next()
        if not character:
            raise NotTaken("an escape of nothing")
        if character in "sS":
            return SPACES if character == "s" else _outside_of_spaces()
        if character in "dD":
            return _ranges("Nd", character == "D")
        if character in "wW":
            return _of_words(character == "W")
        if character in _PLAIN_ESCAPES:
            return f"\\{character}"
        if character.isalnum():
            raise NotTaken("an escape")
        return re.escape(character)

    def _set(self) -> str:
        negated = self._text[self._at : self._at + 1] == "^"
        self._at += negated
        parts: list[str] = []
        while (character := self._next()) != "]" or not parts:
            if not character or character == "[" or self._text.startswith("&&", self._at - 1):
                raise NotTaken("a kind of set")
            between = character == "-" and parts and self._text[self._at : self._at + 1] != "]"
            parts.append("-" if between else self._class() if character == "\\" else re.escape(character))
        return f"[{'^' * negated}{''.join(parts)}]"


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """Return the ranges of each of Unicode's general categories."""
    ranges: dict[str, list[tuple[int, int]]] = defaultdict(list)
    start, last = 0, unicodedata.category("\0")
    for code in range(1, sys.maxunicode + 2):
        category = unicodedata.category(chr(code)) if code <= sys.maxunicode else ""
        if category != last:
            ranges[last].append((start, code - 1))
            start, last = code, category
    return ranges


@cache
def _ranges(name: str, negated: bool) -> str:
    """Return the characters of a category, or all others, for a set."""
    chosen = [ranges for category, ranges in _categories().items() if category.startswith(name) is not negated]
    if not any(category.startswith(name) for category in _categories()) or len(name) > 2:
        raise NotTaken("a property")
    return "".join(f"{_written(first)}-{_written(last)}" for ranges in chosen for first, last in sorted(ranges))


def _repeat_of_repeats(counted: str) -> str:
    """Return what Oniguruma takes `{n,m}+` for: not a possessive repeat but a repeat of repeats.

    Raises:
        NotTaken: it is none that a simple repeat does as well.
    """
    match = _COUNTED.fullmatch(counted)
    least, most = (match[1], match[2]) if match else ("", None)
    if least not in ("0", "1") or most is None:
        raise NotTaken("a repeat of repeats")
    return "*" if least == "0" else "+"


@cache
def _of_words(negated: bool) -> str:
    """Return the characters that Oniguruma counts to words, or all others, for a set."""
    bounds: list[int] = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if (character in _MORE_WORDS or unicodedata.category(character) in _WORDS) is not bool(len(bounds) % 2):
            bounds.append(code)
    bounds = [0, *bounds] if negated else bounds
    bounds += [sys.maxunicode + 1] if len(bounds) % 2 else []
    return "".join(f"{_written(a)}-{_written(b - 1)}" for a, b in zip(bounds[::2], bounds[1::2], strict=True))


@cache
def _outside_of_spaces() -> str:
    space = re.compile(f"[{SPACES}]")
    bounds = [-1, *(code for code in range(0x3001) if space.match(chr(code))), sys.maxunicode + 1]
    pairs = pairwise(bounds)
    return "".join(f"{_written(a + 1)}-{_written(b - 1)}" for a, b in pairs if b - a > 1)


def _written(code: int) -> str:
    return f"\\U{code:08x}"
