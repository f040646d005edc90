"""Cuts documents into passages: along headings, paragraphs and sentences, Chinese ones too; tables keep their first row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from desktop_app.documents.document import Block, Document, Kind

TARGET = 200
"""About so many tokens has a passage; embedding models cut longer ones off."""
MOST = 300
_LEAST = 50
"""A page with so many tokens is apart from the next one, so that a passage's page is the one on which it stands."""
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_SENTENCE_END = re.compile(r"(?<=[。！？；…])[”’」』）]*|(?<=[.!?;])[\"')\]]*\s+|\n+")
_MOST_HEADING = 120
_MEASURED, _SAMPLE = 8000, 1000


@dataclass(frozen=True)
class Passage:
    """A piece of a document."""

    text: str
    page: int
    """Where it begins, from 1; 0: there are no pages."""
    last_page: int
    headings: str = ""
    """The headings above it, the highest one first."""


def size(text: str) -> float:
    """Return about how many tokens a text has: one for each Chinese character, one for four others."""
    wide = wide_characters(text)
    return wide + (len(text) - wide) / 4


def about_size(text: str) -> int:
    """Return the size of a text by a few samples, which takes no time however long it is."""
    if len(text) <= _MEASURED:
        return math.ceil(size(text))
    step = (len(text) - _SAMPLE) // (_MEASURED // _SAMPLE)
    samples = "".join(text[at : at + _SAMPLE] for at in range(0, len(text) - _SAMPLE, step))
    return math.ceil(size(samples) / len(samples) * len(text))


def wide_characters(text: str) -> int:
    """Return how many characters of a text are Chinese, Japanese or Korean."""
    return len(_WIDE.findall(text))


def passages(document: Document) -> list[Passage]:
    """Return a document's passages in their order; each text is in one of them."""
    builder = _Builder()
    for page in document.pages:
        builder.turn()
        for block in page.blocks:
            builder.add(block, page.number)
    builder.flush()
    return builder.passages


class _Builder:
    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self._headings: list[tuple[int, str]] = []
        self._parts: list[str] = []
        self._size = 0.0
        self._pages = (0, 0)
        self._is_heading = False
        """Nothing but headings is waiting."""

    def turn(self) -> None:
        """Begin another page."""
        if self._size >= _LEAST:
            self.flush()

    def add(self, block: Block, page: int) -> None:
        if block.kind is Kind.HEADING:
            if (
                not self._is_heading or self._size >= TARGET
            ):  # a heading alone says nothing: it waits for what is below it
                self.flush()
            level = block.level or 1
            self._headings = [entry for entry in self._headings if entry[0] < level]
            self._headings.append((level, " ".join(block.text.split())[:_MOST_HEADING]))
            if size(block.text) <= MOST:
                self._append(block.text, page, "\n\n")
                self._is_heading = True
                return
        if block.kind is Kind.TABLE:
            for part in table_parts(block.text):
                self._take(part, page, "\n\n")
            return
        separator = "\n\n"
        for part in parts(block.text, by_line=block.kind is Kind.CODE):
            self._take(part, page, separator)
            separator = ""

    def flush(self) -> None:
        text = "".join(self._parts).strip()
        if text:
            headings = " › ".join(text for _, text in self._headings)
            self.passages.append(Passage(text, *self._pages, headings))
        self._parts, self._size, self._is_heading = [], 0.0, False

    def _take(self, text: str, page: int, separator: str) -> None:
        wanted = size(text)
        self._is_heading = False
        if self._parts and (self._size + wanted > MOST or (self._size >= TARGET and separator)):
            self.flush()
        self._append(text, page, separator)

    def _append(self, text: str, page: int, separator: str) -> None:
        if not self._parts:
            self._pages = (page, page)
        else:
            self._parts.append(separator)
            self._pages = (self._pages[0], page)
        self._parts.append(text)
        self._size += size(text)


def parts(text: str, *, by_line: bool = False) -> Iterator[str]:
    """Yield pieces of a text that are no longer than a passage: sentences where it is longer, and parts of these."""
    if size(text) <= MOST:
        yield text
        return
    pieces = text.splitlines(keepends=True) if by_line else list(sentences(text))
    for piece in pieces:
        if size(piece) <= MOST:
            yield piece
        else:
            yield from _cut(piece)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, each with what follows it up to the next one."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if match.end() > start:
            yield text[start : match.end()]
            start = match.end()
    if start < len(text):
        yield text[start:]


def _cut(text: str) -> Iterator[str]:
    """Yield parts of an endless sentence or line, at spaces or commas where there are some."""
    start = 0
    while start < len(text):
        piece = text[start : start + 4 * TARGET + 4]
        end = _length(piece)
        if start + end < len(text):
            near = max(piece.rfind(mark, end // 2, end) for mark in (" ", "，", "、", ","))
            end = near + 1 if near > 0 else end
        yield piece[:end]
        start += end


def _length(text: str) -> int:
    """Return how many characters from the beginning make up a passage."""
    total = 0.0
    for at, character in enumerate(text):
        total += 1 if _WIDE.match(character) else 0.25
        if total > TARGET:
            return max(1, at)
    return len(text)


def table_parts(text: str) -> Iterator[str]:
    """Yield parts of a table, each with its first row."""
    header, *rows = text.split("\n")
    if size(header) > MOST / 2 or any(size(row) > MOST for row in rows):  # repeated, it would be most of each passage
        yield from parts(text, by_line=True)
        return
    waiting, total = [header], size(header)
    for row in rows:
        if len(waiting) > 1 and total + size(row) > MOST:
            yield "\n".join(waiting)
            waiting, total = [header], size(header)
        waiting.append(row)
        total += size(row)
    yield from parts("\n".join(waiting), by_line=True)
