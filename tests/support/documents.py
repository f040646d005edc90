"""Makes documents of every kind, good and hostile ones."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

import docx
import openpyxl
import pptx


def write_pdf(path: Path, pages: Sequence[str]) -> Path:
    """Write a PDF with a line of text for each line of a page; letters of Latin-1 only."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.split("\n")]
        shown = " T* ".join(f"({line}) Tj" for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET" if text else ""
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {len(objects)} 0 R >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, places = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, io.SEEK_END)
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = out.tell()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode())
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    path.write_bytes(out.getvalue())
    return path


def write_word(path: Path) -> Path:
    document = docx.Document()
    document.add_heading("季度报告", 1)
    document.add_paragraph("第一季度的销售额是三百万元。")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip([c for row in table.rows for c in row.cells], ("城市", "金额", "上海", "120"), strict=True):
        cell.text = text
    document.add_paragraph("The second paragraph is in English.")
    document.save(str(path))
    return path


def write_slides(path: Path) -> Path:
    presentation = pptx.Presentation()
    for title, body in (("第一页", "项目的目标"), ("Second", "The budget is 40")):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    presentation.slides[1].notes_slide.notes_text_frame.text = "Remember the discount"
    presentation.save(str(path))
    return path


def write_sheets(path: Path) -> Path:
    workbook = openpyxl.Workbook()
    workbook.active.title = "价格"
    for row in (["品名", "价格"], ["苹果", 5.5], ["梨", None], ["香蕉", 3]):
        workbook.active.append(row)
    workbook.create_sheet("Empty")
    workbook.save(str(path))
    return path


def write_epub(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        )
        archive.writestr(
            "OEBPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="b" href="two%20.xhtml"/>'
            '<item id="a" href="one.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        )
        archive.writestr("OEBPS/one.xhtml", "<html><body><h1>第一章</h1><p>从前有座山。</p></body></html>")
        archive.writestr(
            "OEBPS/two .xhtml", "<html><body><h1>Two</h1><p>The end.</p><script>bad()</script></body></html>"
        )
    return path


def write_bomb(path: Path, size: int = 700 * 1024 * 1024) -> Path:
    """Write an Office file of a few hundred kilobytes that unpacks to `size` bytes."""
    write_word(path)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/media/bomb.xml", "w") as member,
    ):
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return path


def write_entities(path: Path) -> Path:
    """Write a Word file whose XML has entities that multiply, and one that names a file of this computer."""
    write_word(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    declared = f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    body = members["word/document.xml"].decode()
    head, _, rest = body.partition("?>")
    members["word/document.xml"] = f"{head}?>{declared}{rest.replace('第一季度', '&l11;&secret;第一季度')}".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def damaged_document(good: bytes, rng: random.Random) -> bytes:
    """Return a document with damages: bytes anywhere, its end missing, the directory of its archive, or a member's text."""
    way = rng.randrange(4)
    if way == 1:
        return _with_wrong_bytes(good[: rng.randrange(len(good))], rng, 0, 20)
    if way >= 2 and good.startswith(b"PK"):
        if way == 2:
            return _with_wrong_bytes(good, rng, good.rindex(b"PK\x01\x02"), 1 + rng.randrange(6))
        return _with_a_damaged_member(good, rng)
    return _with_wrong_bytes(good, rng, 0, 1 + rng.randrange(20))


def _with_wrong_bytes(data: bytes, rng: random.Random, start: int, count: int) -> bytes:
    wrong = bytearray(data)
    for _ in range(count if wrong else 0):
        wrong[rng.randrange(start, len(wrong))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(wrong)


def _with_a_damaged_member(good: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([name for name, data in members.items() if data])
    if rng.randrange(6):
        members[name] = _with_wrong_bytes(members[name], rng, 0, 1 + rng.randrange(4))
    else:
        del members[name]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()
