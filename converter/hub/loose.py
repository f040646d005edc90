"""Answers of which no more than a few facts are wanted: what is of another kind than it should be counts as not told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 80


def text(value: object, longest: int = _LONGEST) -> str:
    """Return a text of one line; "": it is none."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= longest else ""


def texts(value: object) -> list[str]:
    """Return the texts in a list."""
    return [part for part in map(text, value) if part] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object's entries."""
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """Return a number of things; 0: it is none."""
    return value if isinstance(value, int) and 0 < value < 1 << 60 else 0


def licence_in(card: Mapping[str, Any], tags: Sequence[str]) -> str:
    """Return the licence that a card's head or a tag names."""
    named = card.get("license")
    tagged = next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), "")
    if text(named) in ("", "other"):
        return text(card.get("license_name")) or ", ".join(texts(named)) or tagged
    return text(named)
