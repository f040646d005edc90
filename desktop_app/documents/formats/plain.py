"""Text in any encoding, source code, Markdown and tables of comma-separated values."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path
from typing import Any

import msgspec
from charset_normalizer import from_bytes

from desktop_app.chat.chinese_encoding import chinese_encoding
from desktop_app.documents.document import Block, Kind, Page, no_text

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_JAPANESE_MAIL = re.compile(rb"\x1b\$[@B][!-~]{2,}\x1b\(")
_GUESSED = 64 * 1024
"""Bytes that an unknown encoding is guessed by."""
_NO_TEXT = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_FEW, _RARE = 16, 100
"""A text has a few control characters at most, or one among so many characters; zeros are those of a text that was cut off."""
_MOST_BYTES = 64 * 1024 * 1024
_CANDIDATES = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "cp1252")
_LINES = 40
"""Lines of code in a block."""
_ROWS = 30
"""Rows of a table in a block."""
_HEADING = re.compile(r"(#{1,6})[ \t]+(?=\S)")
_FENCE = re.compile(r"^\s*(```|~~~)")


def read_text(path: Path) -> str:
    """Return a file's text, whatever its encoding.

    Raises:
        ExtractionFailed: it holds something else.
    """
    with path.open("rb") as file:
        text = decoded(file.read(_MOST_BYTES))
    if len(_NO_TEXT.findall(text, 0, _GUESSED)) > max(_FEW, min(len(text), _GUESSED) // _RARE):
        raise no_text(path)
    return text


def decoded(data: bytes) -> str:
    """Return the text of bytes: by their mark, as UTF-8, or by the encoding that fits them best."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if _JAPANESE_MAIL.search(data, 0, _GUESSED):  # seven bits, which are UTF-8, too
        return data.decode("iso2022_jp", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == _MOST_BYTES and error.start > len(data) - 4:  # the last character was cut
            return data.decode("utf-8", "ignore")
    return data.decode(_encoding(data[:_GUESSED]), "replace")


def _encoding(data: bytes) -> str:
    """Return the encoding of bytes that are no UTF-8."""
    if len(data) >= 4 and max(data[0::2].count(0), data[1::2].count(0)) > len(data) // 8:  # UTF-16 without a mark
        return "utf-16-le" if data[1::2].count(0) > data[0::2].count(0) else "utf-16-be"
    if (encoding := chinese_encoding(data)) is None:
        best = from_bytes(data, cp_isolation=[*_CANDIDATES]).best()
        encoding = "gb18030" if best is None else best.encoding
    return "euc_jp" if encoding == "gb18030" and _is_japanese(data) else encoding


def _is_japanese(data: bytes) -> bool:
    """Tell whether what GB18030 reads is EUC-JP: both have kana at the same places, which no Chinese text is full of."""
    text = data.decode("gb18030", "ignore")
    kana = sum("\u3041" <= character <= "\u30ff" for character in text)
    try:
        data[: data.rfind(b"\n") + 1].decode("euc_jp")
    except UnicodeDecodeError:
        return False
    return kana * 8 > len(text)


def text_pages(path: Path) -> list[Page]:
    """Return a text file, its paragraphs apart at empty lines."""
    return [Page(0, paragraphs(read_text(path)))]


def paragraphs(text: str) -> list[Block]:
    """Return the paragraphs of a text; one without empty lines has one a line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts = re.split(r"\n[ \t]*\n", text)
    if len(parts) == 1:
        parts = text.split("\n")
    return [Block(part.strip("\n")) for part in parts if part.strip()]


def code_pages(path: Path) -> list[Page]:
    """Return source code in blocks of lines, apart at empty ones where it can be."""
    blocks, waiting = [], []
    for line in read_text(path).splitlines():
        waiting.append(line)
        if len(waiting) >= _LINES or (len(waiting) >= _LINES // 2 and not line.strip()):
            blocks.append("\n".join(waiting))
            waiting = []
    blocks.append("\n".join(waiting))
    return [Page(0, [Block(text, Kind.CODE) for text in blocks if text.strip()])]


class _Output(msgspec.Struct):
    text: str | list[str] = ""
    data: dict[str, Any] = {}

    def written(self) -> str:
        plain = self.data.get("text/plain", "")
        return _joined(self.text) or _joined(plain if isinstance(plain, str | list) else "")


class _Cell(msgspec.Struct):
    cell_type: str = ""
    source: str | list[str] = ""
    outputs: list[_Output] = []


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


def notebook_pages(path: Path) -> list[Page]:
    """Return a Jupyter notebook: what was written and computed, without its pictures (nbformat 4)."""
    try:
        notebook = msgspec.json.decode(read_text(path), type=_Notebook)
    except msgspec.DecodeError:  # an old one, or none: as the text that it is
        return code_pages(path)
    blocks: list[Block] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            blocks += markdown_blocks(_joined(cell.source))
            continue
        parts = [_joined(cell.source), *(output.written() for output in cell.outputs)]
        blocks += [Block(part.strip("\n"), Kind.CODE) for part in parts if part.strip()]
    return [Page(0, blocks)]


def _joined(lines: str | list[Any]) -> str:
    return lines if isinstance(lines, str) else "".join(map(str, lines))


def markdown_pages(path: Path) -> list[Page]:
    """Return Markdown: headings, paragraphs, tables and code apart."""
    return [Page(0, markdown_blocks(read_text(path)))]


def markdown_blocks(text: str) -> list[Block]:
    """Return the blocks of a Markdown text."""
    blocks: list[Block] = []
    waiting: list[str] = []
    fenced = False

    def flush() -> None:
        if any(line.strip() for line in waiting):
            table = sum(line.lstrip().startswith("|") for line in waiting) >= 2
            kind = Kind.CODE if fenced else Kind.TABLE if table else Kind.PARAGRAPH
            blocks.append(Block("\n".join(waiting).strip("\n"), kind))
        waiting.clear()

    for line in text.splitlines():
        if _FENCE.match(line):
            flush()
            fenced = not fenced
        elif fenced:
            waiting.append(line)
        elif heading := _HEADING.match(line):
            flush()
            title = line[heading.end() :].rstrip().rstrip("#").rstrip()
            blocks.append(Block(title, Kind.HEADING, len(heading[1])))
        elif line.strip():
            waiting.append(line)
        else:
            flush()
    flush()
    return blocks


def csv_pages(path: Path) -> list[Page]:
    """Return comma-separated values as a table."""
    text = read_text(path)
    csv.field_size_limit(1 << 20)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:4096], ",;\t|")
    except csv.Error:
        dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), dialect)]
    except csv.Error:
        return text_pages(path)
    return [Page(0, table_blocks(rows))]


def table_blocks(rows: list[list[str]]) -> list[Block]:
    """Return a table in blocks of rows, each with the first row in front."""
    written = [" | ".join(row) for row in rows if any(row)]
    if len(written) <= _ROWS:
        return [Block("\n".join(written), Kind.TABLE)] if written else []
    header, body = written[0], written[1:]
    return [Block("\n".join([header, *body[at : at + _ROWS]]), Kind.TABLE) for at in range(0, len(body), _ROWS)]
