"""PDF, by PDFium: the text of each page, its lines joined to paragraphs."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pypdfium2

from desktop_app.documents.document import Block, ExtractionFailed, Page

MOST_PAGES = 20_000
_PAGE_NUMBER = 8
"""Characters that a scanned page may have all the same."""
_ENDS = "。！？；：.!?:;…”」』）)"
_WIDE = ("W", "F")


def pdf_pages(path: Path, most_characters: int) -> tuple[list[Page], bool, bool]:
    """Return the pages, whether they are pictures without text, and whether some were left out.

    Raises:
        ExtractionFailed: the file is damaged or needs a password.
    """
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise ExtractionFailed(
                "{path} is protected by a password; save a copy without one.", path=path, code="password"
            ) from error
        raise ExtractionFailed("{path} is no PDF or a damaged one; save it again.", path=path) from error
    pages, characters, pictures = [], 0, False
    try:
        count = min(len(document), MOST_PAGES)
        for number in range(count):
            text = _page_text(document, number)
            characters += len(text)
            pages.append(Page(number + 1, joined(text)))
            if characters > most_characters:
                return pages, False, number + 1 < len(document)
        written = sum(len(page.text.strip()) > _PAGE_NUMBER for page in pages)
        pictures = count > 0 and written * 10 < count
        return pages, pictures, len(document) > count
    finally:
        document.close()


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""  # a damaged page among good ones
    try:
        text = page.get_textpage()
        try:
            return str(text.get_text_bounded() or "")
        finally:
            text.close()
    finally:
        page.close()


def joined(text: str) -> list[Block]:
    """Return the paragraphs of a page: its lines are joined up to one that ends a sentence and is short, or an empty one."""
    lines = [_clean(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    longest = max(map(_width, lines), default=0)
    blocks: list[Block] = []
    waiting = ""
    for line in lines:
        if not line:
            if waiting:
                blocks.append(Block(waiting))
            waiting = ""
            continue
        waiting = _with(waiting, line)
        if _width(line) < 0.85 * longest and line[-1] in _ENDS:
            blocks.append(Block(waiting))
            waiting = ""
    if waiting:
        blocks.append(Block(waiting))
    return blocks


def _clean(line: str) -> str:
    line = line.replace("\ufffe", "").replace("\u00ad", "")
    return re.sub(r"[ \t\u00a0]+", " ", "".join(c for c in line if c == " " or unicodedata.category(c) != "Cc")).strip()


def _with(text: str, line: str) -> str:
    """Join a line: Chinese and Japanese without a space, a word that was divided without its hyphen."""
    if not text:
        return line
    if text.endswith("-") and len(text) > 1 and text[-2].islower() and line[0].islower():
        return text[:-1] + line
    wide = unicodedata.east_asian_width(text[-1]) in _WIDE and unicodedata.east_asian_width(line[0]) in _WIDE
    return text + ("" if wide else " ") + line


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in _WIDE else 1 for character in line)
