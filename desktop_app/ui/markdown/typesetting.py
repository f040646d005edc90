"""Formulas set as in print, by ziamath: LaTeX to SVG. No Qt here: it runs on any thread, and takes milliseconds for each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree

COLOUR = "#010203"
"""Of everything in the SVG: replaced where it is drawn."""
_SIZE = 24.0
_LONGEST = 1000
_NOT_IN_THE_FONT = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_RAISED_MATRIX = re.compile(r"(\\begin\{(\w*matrix)\}(?:(?!\\begin).)*?\\end\{\2\})(?=\s*[\^_])", re.DOTALL)
"""Which the library reads only in braces."""
_AS_LARGE_AS_TEXT = 1.16
"""The letters of the library's font are smaller than those of screen fonts of the same size."""


@dataclass(frozen=True)
class Typeset:
    """A formula as a picture; lengths are parts of the font's size."""

    svg: str
    width: float
    ascent: float
    """Above the line on which the text stands."""
    descent: float


@lru_cache(maxsize=2048)
def typeset(source: str, *, display: bool) -> Typeset | None:
    """Return a formula's picture; None where it cannot be set, and its line of text has to do."""
    if len(source) > _LONGEST or _NOT_IN_THE_FONT.search(source):
        return None
    import ziamath  # reads its font

    ziamath.config.svg2 = False  # Qt draws no <use>
    try:
        drawn = ziamath.Latex(
            _RAISED_MATRIX.sub(r"{\1}", source), size=_SIZE, inline=not display, color=COLOUR, margin=0
        )
        svg, unknown = drawn.svg(), "\\" in ElementTree.tostring(drawn.mathml, "unicode")
    except Exception:
        return None
    box = [float(number) for number in ElementTree.fromstring(svg).get("viewBox", "").split()]  # noqa: S314  (its own)
    if unknown or len(box) != 4 or box[2] <= 0:
        return None
    _, top, width, height = box
    scale = _AS_LARGE_AS_TEXT / _SIZE
    return Typeset(svg, width * scale, -top * scale, (top + height) * scale)
