"""The text of one file, by the library for its kind. Runs in the extraction process (`extraction_process.py`)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from desktop_app.documents import kinds
from desktop_app.documents.document import Block, Document, ExtractionFailed, Page

MOST_CHARACTERS = 12_000_000
"""Of one file: a shelf of books."""
_LARGEST = 512 * 1024 * 1024
_MOST_UNPACKED = 512 * 1024 * 1024
_MOST_MEMBERS = 20_000
_MOST_RATIO = 300
_SMALL = 8 * 1024 * 1024
"""Bytes that a member of an archive may have however well it was packed."""
_STEP = 1 << 20
_ARCHIVES = (kinds.WORD, kinds.SLIDES, kinds.SHEETS, kinds.EPUB)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def extract(path: Path) -> Document:
    """Return a file's text.

    Raises:
        ExtractionFailed: it is damaged, locked, a bomb, or of a kind that is not read here.
        OSError: it cannot be read.
    """
    kind = kinds.kind_of(path)
    if kind is None:
        raise ExtractionFailed("{path} is of a kind that Zhiyin does not read; save it as PDF or text.", path=path)
    if path.stat().st_size > _LARGEST:
        raise ExtractionFailed("{path} is larger than {count} MB; split it.", path=path, count=_LARGEST >> 20)
    pages, scanned, cut = _read(kind, path)
    pages, shortened = _within(pages)
    return Document(pages, _title(pages), scanned, cut or shortened)


def _read(kind: str, path: Path) -> tuple[list[Page], bool, bool]:
    """Return a file's pages, whether they are pictures without text, and whether some were left out."""
    try:
        if kind in _ARCHIVES:
            _check_archive(path)
        if kind == kinds.PDF:
            from desktop_app.documents.formats.pdf import pdf_pages

            return pdf_pages(path, MOST_CHARACTERS)
        if kind == kinds.SHEETS:
            from desktop_app.documents.formats.office import sheet_pages

            pages, cut = sheet_pages(path, MOST_CHARACTERS)
            return pages, False, cut
        return _reader(kind)(path), False, False
    except (ExtractionFailed, MemoryError):
        raise
    except Exception as error:  # what libraries raise at damaged files is not listed anywhere; OSError is among it
        _read_through(path)
        raise ExtractionFailed(
            "{path} is damaged ({reason}); save it again.", path=path, reason=type(error).__name__
        ) from error


def _read_through(path: Path) -> None:
    """Read all of a file: what the disk says counts more than what a library made of it.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        while file.read(_STEP):
            pass


def _reader(kind: str) -> Callable[[Path], list[Page]]:
    from desktop_app.documents.formats import markup, office, plain

    return {
        kinds.WORD: office.word_pages,
        kinds.SLIDES: office.slide_pages,
        kinds.CSV: plain.csv_pages,
        kinds.HTML: markup.html_pages,
        kinds.EPUB: markup.epub_pages,
        kinds.MARKDOWN: plain.markdown_pages,
        kinds.TEXT: plain.text_pages,
        kinds.CODE: plain.code_pages,
        kinds.NOTEBOOK: plain.notebook_pages,
    }[kind]


def _check_archive(path: Path) -> None:
    """Refuse an archive that is none, and one that unpacks to far more than it is.

    Raises:
        ExtractionFailed: it does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ExtractionFailed("{path} is damaged or protected by a password; save it again.", path=path) from error
    unpacked = sum(member.file_size for member in members)
    bombs = (m for m in members if m.file_size > _SMALL and m.file_size > _MOST_RATIO * max(1, m.compress_size))
    if unpacked > _MOST_UNPACKED or len(members) > _MOST_MEMBERS or any(bombs):
        raise ExtractionFailed("{path} unpacks to far more than a document holds; it is left out.", path=path)


def _within(pages: list[Page]) -> tuple[list[Page], bool]:
    """Return pages without control characters and with no more text than is taken of a file, and whether some was left out."""
    kept: list[Page] = []
    room = MOST_CHARACTERS
    for page in pages:
        blocks = []
        for block in page.blocks:
            text = _CONTROL.sub("", block.text)[:room]
            room -= len(text)
            if text.strip():
                blocks.append(Block(text, block.kind, block.level))
        kept.append(Page(page.number, blocks, _CONTROL.sub("", page.name)[:200]))
        if room <= 0:
            return kept, True
    return kept, False


def _title(pages: list[Page]) -> str:
    """Return the first heading of the highest level."""
    headings = [block for page in pages[:3] for block in page.blocks if block.level]
    return min(headings, key=lambda block: block.level).text[:200] if headings else ""
