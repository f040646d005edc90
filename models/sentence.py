"""Sentences for the user as data: an English template and its values, filled in where they are read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from models.visible import visible

_LONGEST = 600
"""Characters of a text in a sentence."""


class Sentence:
    """A sentence that some other language may say: `str()` fills in the English template.

    Whoever shows it in another language translates `template`, which is a literal wherever a sentence is made. A placeholder
    `{name:size}` takes bytes and shows them in a unit that suits them; other format specifications are Python's.
    """

    template: str
    values: dict[str, Any]
    """Texts, numbers, other sentences, which become a part of this one, or tuples of these, which become a list."""

    def __init__(self, template: str, **values: Any) -> None:
        """`template` has `{name}` for each value, and is taken as it is where there are none."""
        self.template = template
        self.values = {name: _plain(value) for name, value in values.items()}

    def __str__(self) -> str:
        return SentenceFormatter().fill(self.template, self.values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sentence) and (self.template, self.values) == (other.template, other.values)

    def __hash__(self) -> int:
        return hash((self.template, *sorted(self.values)))

    def data(self) -> dict[str, Any]:
        """Return plain values for another process or a file; `errors.sentence_from_data` makes the sentence again."""
        return {"template": self.template, "values": {name: _data(value) for name, value in self.values.items()}}


class SentenceFormatter(Formatter):
    """Fills in templates, in English."""

    def fill(self, template: str, values: Mapping[str, Any]) -> str:
        """Return the template with its values, or as it is where there are none."""
        return self.vformat(template, (), values) if values else template

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return one value as text."""
        if isinstance(value, tuple):
            return self.joined([self.format_field(part, format_spec) for part in value])
        if format_spec == "size":
            return size_text(value)
        text = str(super().format_field(value, format_spec))
        return visible(_shortened(text)) if isinstance(value, str) else text  # names in files are anybody's words

    def joined(self, parts: Sequence[str]) -> str:
        """Return a list as text; parts that are lists themselves are told apart."""
        return ("; " if any(", " in part for part in parts) else ", ").join(parts)


def _shortened(text: str) -> str:
    """Leave the middle of a very long text out: what somebody pasted by mistake would hide the sentence."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 4 :]}"


def size_text(count: float) -> str:
    """Return bytes in decimal units, as disks and file managers count them."""
    if count >= 95e7:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 95e4 else f"{count / 1e3:.0f} kB"


def _plain(value: Any) -> Any:
    """Return a value that is the same in another process."""
    if isinstance(value, os.PathLike):
        return visible(os.fspath(value))
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value if isinstance(value, str | int | float | Sentence) else str(value)


def _data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_data(part) for part in value]
    return value.data() if isinstance(value, Sentence) else value
