"""HTML and EPUB: what a reader would see, without scripts and styles. Nothing is fetched."""

from __future__ import annotations

import posixpath
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote

import lxml.etree
import lxml.html

from desktop_app.documents.document import Block, ExtractionFailed, Kind, Page
from desktop_app.documents.formats.plain import decoded, table_blocks

_HIDDEN = frozenset(("script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object"))
_BLOCK_NAMES = (
    "p div li dt dd blockquote section article main header footer aside figure figcaption address details summary td th"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([A-Za-z0-9_.:-]{2,40})""")
_MOST_DEPTH = 200
_XML = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def html_pages(path: Path) -> list[Page]:
    """Return a page of HTML."""
    return [Page(0, html_blocks(path.read_bytes()))]


def html_blocks(data: bytes) -> list[Block]:
    """Return the blocks of HTML in the encoding that it names, or in the one that fits."""
    named = _CHARSET.search(data[:4096])
    try:
        text = data.decode(named[1].decode("ascii")) if named else decoded(data)
    except (LookupError, UnicodeDecodeError):
        text = decoded(data)
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    if not text.strip():
        return []
    try:
        root = lxml.html.document_fromstring(text, parser=lxml.html.HTMLParser(no_network=True, huge_tree=False))
    except (lxml.etree.ParserError, ValueError):
        return []
    blocks = _Blocks()
    blocks.walk(root, 0)
    blocks.flush()
    return blocks.blocks


class _Blocks:
    """Collects text while the tree is walked."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._waiting: list[str] = []

    def flush(self, kind: Kind = Kind.PARAGRAPH, level: int = 0) -> None:
        text = "".join(self._waiting)
        text = text.strip("\n") if kind is Kind.CODE else re.sub(r"[ \t\r\n\f\u00a0]+", " ", text).strip()
        if text:
            self.blocks.append(Block(text, kind, level))
        self._waiting.clear()

    def walk(self, node: lxml.html.HtmlElement, depth: int) -> None:
        tag = node.tag if isinstance(node.tag, str) else ""
        if not tag or tag in _HIDDEN or depth > _MOST_DEPTH:
            return
        heading = re.fullmatch(r"h([1-6])", tag)
        if tag == "table" and not node.xpath(".//table"):
            self.flush()
            rows = [
                [" ".join(cell.text_content().split()) for cell in row.xpath("./td|./th")] for row in node.iter("tr")
            ]
            self.blocks += table_blocks(rows)
            return
        apart = tag in _BLOCKS or heading is not None or tag == "pre"
        if apart:
            self.flush()
        if tag == "br":
            self._waiting.append("\n")
        self._waiting.append(node.text or "")
        for child in node:
            self.walk(child, depth + 1)
            self._waiting.append(child.tail or "")
        if heading is not None:
            self.flush(Kind.HEADING, int(heading[1]))
        elif apart:
            self.flush(Kind.CODE if tag == "pre" else Kind.PARAGRAPH)


def epub_pages(path: Path) -> list[Page]:
    """Return a book, one page a chapter in the order of its spine.

    Raises:
        ExtractionFailed: it is no book, or a damaged or a locked one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _chapters(archive, path)
    except (zipfile.BadZipFile, lxml.etree.XMLSyntaxError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ExtractionFailed("{path} is no EPUB book, or a damaged or locked one.", path=path) from error


def _chapters(archive: zipfile.ZipFile, path: Path) -> list[Page]:
    parser = lxml.etree.XMLParser(**_XML)
    container = lxml.etree.fromstring(archive.read("META-INF/container.xml"), parser)
    package = str(next(iter(container.xpath("//*[local-name()='rootfile']/@full-path")), ""))
    book = lxml.etree.fromstring(archive.read(package), lxml.etree.XMLParser(**_XML))
    files = {
        item.get("id"): posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(item.get("href") or "")))
        for item in book.xpath("//*[local-name()='manifest']/*[local-name()='item']")
    }
    order = book.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
    names = set(archive.namelist())
    pages = []
    for number, name in enumerate(dict.fromkeys(files.get(entry) for entry in order), 1):  # a spine has each once
        if name in names:
            pages.append(Page(number, html_blocks(archive.read(name))))
    if not pages:
        raise ExtractionFailed("{path} is no EPUB book, or a damaged or locked one.", path=path)
    return pages
