"""Extracted documents: pages of blocks."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from models.errors import ZhiyinError


class Kind(str, Enum):
    """The kind of a block, which decides where texts may be cut."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    TABLE = "table"
    """Rows are lines; the first one is repeated where a table is cut."""
    CODE = "code"


class Block(Struct, frozen=True, array_like=True):
    """A piece of text that belongs together."""

    text: str
    kind: Kind = Kind.PARAGRAPH
    level: int = 0
    """Of a heading: 1 is the highest."""


class Page(Struct, frozen=True, array_like=True):
    """A page, slide or sheet."""

    number: int
    """From 1; 0: the kind of file has no pages."""
    blocks: list[Block]
    name: str = ""
    """Of a sheet or a chapter."""

    @property
    def text(self) -> str:
        """All of its text."""
        return "\n\n".join(block.text for block in self.blocks)


class Document(Struct, frozen=True):
    """The text of a file."""

    pages: list[Page]
    title: str = ""
    scanned: bool = False
    """Pages are pictures without text."""
    cut: bool = False
    """There was more text than is taken of one file."""

    @property
    def text(self) -> str:
        """All of its text."""
        return "\n\n".join(page.text for page in self.pages if page.blocks)

    @property
    def page_count(self) -> int:
        """Pages, 0 where the kind of file has none."""
        return max((page.number for page in self.pages), default=0)


class Answer(Struct, frozen=True):
    """The answer of the extraction process: a document or an error."""

    document: Document | None = None
    failed: dict[str, Any] | None = None
    """`ZhiyinError.data()`."""


class ExtractionFailed(ZhiyinError):
    """A file's text could not be extracted."""

    default_code = "extraction-failed"


def without_text(path: Path) -> ExtractionFailed:
    """Return why a document of pictures gives no text."""
    return ExtractionFailed(
        "{path} holds pictures of pages without text; have a program recognise the text first (OCR).",
        path=path,
        code="scanned",
    )


def no_text(path: Path) -> ExtractionFailed:
    """Return why a file that is no text gives none."""
    return ExtractionFailed("{path} holds no text; it is left out.", path=path, code="no-text")


def left_out(path: Path, document: Document) -> ExtractionFailed:
    """Return what of a document that was cut was not read."""
    count = sum(len(block.text) for page in document.pages for block in page.blocks)
    return ExtractionFailed(
        "{path} is longer than Zhiyin reads of one file: its end, behind {count:,} characters, was left out; split it.",
        path=path,
        count=count,
        code="cut",
    )


ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
