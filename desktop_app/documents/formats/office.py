"""Word, PowerPoint and Excel files of today's kind (Office Open XML)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from desktop_app.documents.document import Block, Kind, Page
from desktop_app.documents.formats.plain import table_blocks

_MOST_CELLS = 2_000_000


def word_pages(path: Path) -> list[Page]:
    """Return a Word file; it has no pages before it is laid out."""
    import docx
    from docx.table import Table

    document = docx.Document(str(path))
    blocks: list[Block] = []
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            blocks += table_blocks([[cell.text.strip() for cell in row.cells] for row in item.rows])
        elif item.text.strip():
            style = (item.style.name if item.style is not None else "") or ""
            blocks.append(_paragraph(item.text.strip(), style))
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


def sheet_pages(path: Path, most_characters: int) -> list[Page]:
    """Return a workbook, one page a sheet."""
    import openpyxl

    workbook = openpyxl.load_workbook(str(path), read_only=True, data_only=True)
    try:
        return [
            Page(number, table_blocks(list(_rows(sheet, most_characters))), sheet.title)
            for number, sheet in enumerate(workbook.worksheets, 1)
        ]
    finally:
        workbook.close()


def _rows(sheet: object, most_characters: int) -> Iterator[list[str]]:
    cells = characters = 0
    for row in sheet.iter_rows(values_only=True):  # type: ignore[attr-defined]
        values = ["" if value is None else str(value) for value in row]
        while values and not values[-1]:
            values.pop()
        cells += len(row)
        characters += sum(map(len, values))
        if values:
            yield values
        if cells > _MOST_CELLS or characters > most_characters:
            return
