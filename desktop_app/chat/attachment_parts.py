"""The parts of an attachment that an answer can name: its pages, or pieces of a long text that has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from desktop_app.chat.attachment import PASTED, Attachment

_MARK = re.compile(r"^\[p\. (\d{1,6})(?: [^\n]*)?\]$", re.MULTILINE)
_LARGEST = 3000
"""Characters of a piece: about as many as a printed page has."""
_UNDIVIDED = frozenset((PASTED, "pdf", "pptx", "xlsx", "csv", "code"))
"""Kinds whose pages, tables or code stay together."""


@dataclass(frozen=True)
class Part:
    """A page or a piece."""

    page: int
    """From 1; 0: it has none."""
    text: str


def page_mark(number: int, name: str = "") -> str:
    """Return the line that stands in front of a page, a slide or a sheet."""
    return f"[p. {number}{f' {name}' if name else ''}]"


def pages_of(text: str) -> list[Part]:
    """Return the pages of a text by their marks; a text without marks is one page without a number."""
    marks = list(_MARK.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        return [Part(0, text.strip())]
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [Part(int(mark[1]), text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)]


def page_count(text: str) -> int:
    """Return how many numbered pages a text has."""
    return len(_MARK.findall(text))


def parts_of(attachment: Attachment) -> list[Part]:
    """Return what the numbers of a document that a model reads whole stand for."""
    pages = pages_of(attachment.text)
    if attachment.kind in _UNDIVIDED:
        return pages
    return [Part(page.page, piece) for page in pages for piece in _pieces(page.text)]


def _pieces(text: str) -> Iterator[str]:
    """Yield paragraphs together, up to the length of a page."""
    waiting: list[str] = []
    length = 0
    for paragraph in re.split(r"\n[ \t]*\n", text):
        if waiting and length + len(paragraph) > _LARGEST:
            yield "\n\n".join(waiting)
            waiting, length = [], 0
        waiting.append(paragraph)
        length += len(paragraph)
    yield "\n\n".join(waiting)
