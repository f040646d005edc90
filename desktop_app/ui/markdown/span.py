"""A run of text in one style: what blocks and formulas are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Span:
    """A run of text in one style."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    link: str = ""
    """An http or https address, or ""."""
    citation: int = 0
    """The number of a part of a document that this names, or 0."""
    tip: str = ""
    """What the pointer shows of it."""
    formula: str = ""
    """The LaTeX that this is a part of, or ""."""
    script: Literal["", "sub", "super"] = ""
    """Whether it stands lower or higher, and smaller."""


Spans = tuple[Span, ...]
