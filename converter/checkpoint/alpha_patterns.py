"""PEFT's `alpha_pattern`: which alpha a module's change has, by regular expressions for the ends of names.

Source: huggingface/peft, utils/other.py (`get_pattern_key`). The expressions are an untrusted file's, and Python's own module can
take years for one; the library `regex` gives up at a deadline.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import regex

from models.config import Config
from models.errors import BadFile, UnsupportedModel

_LONGEST = 1000
_SECONDS = 10.0
"""For all names of an adapter together."""
_COUNTED = re.compile(r"\{\d{1,2}(?:,\d{0,2})?\}")
_MOST_COUNTED = 2
"""Such repeats are unrolled, and those inside others multiply."""


class AlphaPatterns:
    """The patterns of one adapter, the first that matches counts."""

    def __init__(self, config: Config, path: Path) -> None:
        """Take the configuration of the adapter at `path`.

        Raises:
            BadFile: a pattern is malformed, or an alpha is no number.
            UnsupportedModel: a pattern takes too long.
        """
        section = config.section("alpha_pattern")
        self._path = path
        self._deadline = time.monotonic() + _SECONDS
        self._alphas = {self._compiled(key): section.float(key) for key in section.data}

    def alpha(self, module: str) -> float | None:
        """Return a module's alpha; None: no pattern names it.

        Raises:
            UnsupportedModel: a pattern takes too long.
        """
        return next((alpha for pattern, alpha in self._alphas.items() if self._matches(pattern, module)), None)

    def _matches(self, pattern: regex.Pattern[str], module: str) -> bool:
        try:
            return pattern.match(module, timeout=self._left(pattern.pattern)) is not None
        except TimeoutError as error:
            raise self._too_intricate(pattern.pattern) from error

    def _compiled(self, pattern: str) -> regex.Pattern[str]:
        braces = pattern.count("{")
        if len(pattern) > _LONGEST or braces > _MOST_COUNTED or braces != len(_COUNTED.findall(pattern)):
            raise self._too_intricate(pattern)
        self._left(pattern)
        written = rf"(.*\.)?({pattern})$"
        try:
            re.compile(written)  # what Python does not know, the other library may take for something of its own
            return regex.compile(written)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise BadFile(
                "{path}: the alpha_pattern {pattern!r} is malformed ({reason}); correct it.",
                path=self._path,
                pattern=pattern[:60],
                reason=error,
            ) from error

    def _left(self, pattern: str) -> float:
        """Return the seconds that are left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._too_intricate(pattern)
        return left

    def _too_intricate(self, pattern: str) -> UnsupportedModel:
        return UnsupportedModel(
            "{path}: the alpha_pattern {pattern!r} is too intricate; merge the adapter with the program that "
            "trained it, then convert the result.",
            path=self._path,
            pattern=pattern[:60],
        )
