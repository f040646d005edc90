"""Word, PowerPoint and Excel files of today's kind (Office Open XML)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from desktop_app.documents.document import Block, Kind, Page
from desktop_app.documents.formats.plain import table_blocks

_MOST_CELLS = 2_000_000
_FAR, _SPARSE = 40, 4
"""A row of more cells, of which one in so many is filled, is written without the empty ones."""


def word_pages(path: Path) -> list[Page]:
    """Return a Word file; it has no pages before it is laid out."""
    import docx
    from docx.table import Table

    document = docx.Document(str(path))
    # `Paragraph.style` looks through all styles, some milliseconds for each paragraph
    styles = {style.style_id: style.name or "" for style in document.styles}
    blocks: list[Block] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            blocks += table_blocks([[cell.text.strip() for cell in row.cells] for row in item.rows])
        elif item.text.strip():
            blocks.append(_paragraph(item.text.strip(), styles.get(item._p.style or "", "")))
    return [Page(0, blocks)]


def _paragraph(text: str, style: str) -> Block:
    last = style.rpartition(" ")[2]
    if style.startswith(("Heading", "标题")) and last.isdecimal():
        return Block(text, Kind.HEADING, min(6, int(last)))
    return Block(text, Kind.HEADING, 1) if style == "Title" else Block(text)


def slide_pages(path: Path) -> list[Page]:
    """Return a presentation, one page a slide, its notes at the end."""
    import pptx

    pages = []
    for number, slide in enumerate(pptx.Presentation(str(path)).slides, 1):
        title = slide.shapes.title
        blocks: list[Block] = []
        for shape in slide.shapes:
            if shape.has_text_frame and shape.text_frame.text.strip():
                is_title = title is not None and shape.shape_id == title.shape_id
                blocks.append(Block(shape.text_frame.text.strip(), Kind.HEADING if is_title else Kind.PARAGRAPH, 1))
            if getattr(shape, "has_table", False):
                blocks += table_blocks([[cell.text.strip() for cell in row.cells] for row in shape.table.rows])
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            blocks += [Block(notes)] if notes else []
        pages.append(Page(number, blocks))
    return pages


def sheet_pages(path: Path, most_characters: int) -> tuple[list[Page], bool]:
    """Return a workbook, one page a sheet, and whether some of it was left out."""
    import openpyxl

    workbook = openpyxl.load_workbook(str(path), read_only=True, data_only=True)
    pages, room = [], _Room(most_characters)
    try:
        for number, sheet in enumerate(workbook.worksheets, 1):
            sheet.reset_dimensions()  # what a file says of its size may be wrong, and rows behind it would be lost
            pages.append(Page(number, table_blocks(list(_rows(sheet, room))), sheet.title))
    finally:
        workbook.close()
    return pages, room.is_used_up


class _Room:
    """What is left of what is read of one workbook."""

    def __init__(self, characters: int) -> None:
        self._cells, self._characters = _MOST_CELLS, characters

    def take(self, row: Sequence[object], values: Sequence[str]) -> None:
        self._cells -= 1 + len(row)
        self._characters -= sum(map(len, values))

    @property
    def is_used_up(self) -> bool:
        return self._cells < 0 or self._characters < 0


def _rows(sheet: object, room: _Room) -> Iterator[list[str]]:
    for row in sheet.iter_rows(values_only=True):  # type: ignore[attr-defined]
        values = ["" if value is None else str(value) for value in row]
        while values and not values[-1]:
            values.pop()
        room.take(row, values)
        if len(values) > _FAR and len(values) > _SPARSE * sum(map(bool, values)):
            values = list(filter(None, values))
        if values:
            yield values
        if room.is_used_up:
            return
