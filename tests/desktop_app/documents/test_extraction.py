"""The text of documents of every kind, in the process that reads them; hostile ones cost bounded time and memory."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from desktop_app.documents.chunking import MOST, passages, size
from desktop_app.documents.document import ExtractionFailed, Kind
from desktop_app.documents.extraction import extract
from desktop_app.documents.extraction_process import Extractor
from models.errors import ZhiyinError
from tests.support.documents import (
    damaged_document,
    write_bomb,
    write_entities,
    write_epub,
    write_pdf,
    write_sheets,
    write_slides,
    write_word,
)

CHINESE = "知音是一个离线的助手，可以回答关于文件的问题。这里是第二句话，说的是别的事情。"
JAPANESE = "これは日本語のテキストです。文字コードが違っていても読めるはずです。"
TRADITIONAL = "這是一個離線的助手，可以回答關於文件的問題。我們還沒有發現別的問題。"


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor(seconds=60) as running:
        yield running


def test_fifty_pages_of_pdf_keep_their_numbers(extractor: Extractor, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [f"Chapter {n}\nThe number of this page is word{n}x." for n in range(1, 51)])
    document = extractor.extract(path)
    assert document.page_count == 50
    for page in document.pages:
        assert f"word{page.number}x" in page.text
    assert not document.scanned


def test_pages_without_text_are_said_to_be_pictures(extractor: Extractor, tmp_path: Path) -> None:
    assert extractor.extract(write_pdf(tmp_path / "scan.pdf", ["", "", ""])).scanned


def test_office_files_and_books(extractor: Extractor, tmp_path: Path) -> None:
    word = extractor.extract(write_word(tmp_path / "报告.docx"))
    kinds = [(block.kind, block.text) for block in word.pages[0].blocks]
    assert kinds == [
        (Kind.HEADING, "季度报告"),
        (Kind.PARAGRAPH, "第一季度的销售额是三百万元。"),
        (Kind.TABLE, "城市 | 金额\n上海 | 120"),
        (Kind.PARAGRAPH, "The second paragraph is in English."),
    ]
    assert word.title == "季度报告"
    slides = extractor.extract(write_slides(tmp_path / "a.pptx"))
    assert [page.number for page in slides.pages] == [1, 2]
    assert "discount" in slides.pages[1].text
    sheets = extractor.extract(write_sheets(tmp_path / "a.xlsx"))
    assert sheets.pages[0].name == "价格"
    assert sheets.pages[0].text == "品名 | 价格\n苹果 | 5.5\n梨\n香蕉 | 3"
    book = extractor.extract(write_epub(tmp_path / "a.epub"))
    assert [page.text for page in book.pages] == ["第一章\n\n从前有座山。", "Two\n\nThe end."]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", CHINESE),
        ("utf-8-sig", CHINESE),
        ("gb18030", CHINESE),
        ("gbk", CHINESE),
        ("big5", TRADITIONAL),
        ("utf-16", CHINESE),
        ("utf-16-le", "plain text in two bytes\n" + CHINESE),
        ("euc_jp", JAPANESE),
        ("shift_jis", JAPANESE),
        ("iso2022_jp", JAPANESE),
        ("cp1251", "Это простой русский текст, который мы читаем здесь. Он написан давно."),
        ("latin-1", "Ein Text über Größe, Übermut und schöne Häuser, wie er früher geschrieben wurde."),
    ],
)
def test_text_in_any_encoding(encoding: str, text: str, extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((text * 3).encode(encoding))
    assert extractor.extract(path).text.replace("\n\n", "\n") == (text * 3).replace("\n\n", "\n")


def test_markup_and_tables(extractor: Extractor, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_bytes(
        '<html><head><meta charset="gbk"><style>x</style></head><body><h2>标题</h2><p>正文<b>加粗</b></p><script>bad</script>'
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>".encode("gbk")
    )
    assert extractor.extract(page).text == "标题\n\n正文加粗\n\na | b\n1 | 2"
    notes = tmp_path / "a.md"
    notes.write_text("# One\ntext\n\n```\n# no heading\n```\n| a | b |\n| - | - |\n", "utf-8")
    kinds = [block.kind for block in extractor.extract(notes).pages[0].blocks]
    assert kinds == [Kind.HEADING, Kind.PARAGRAPH, Kind.CODE, Kind.TABLE]
    table = tmp_path / "a.csv"
    table.write_text("name;value\n" + "\n".join(f"row{n};{n}" for n in range(100)), "utf-8")
    blocks = extractor.extract(table).pages[0].blocks
    assert len(blocks) == 4
    assert all(block.text.startswith("name | value\n") for block in blocks)


def test_bombs_and_entities_do_nothing(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(ExtractionFailed, match="unpacks"):
        extractor.extract(write_bomb(tmp_path / "bomb.docx"))
    try:
        text = extractor.extract(write_entities(tmp_path / "laughs.docx")).text
    except ZhiyinError:
        return
    assert "root:" not in text
    assert "lollol" not in text


def test_endless_lines_and_control_characters(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("无尽" * 8_000_000, "utf-8")
    document = extractor.extract(path)
    assert document.cut
    assert len(document.text) <= 12_000_000
    path.write_text("a\x00b\x1bc\u202e d", "utf-8")
    assert "\x00" not in extractor.extract(path).text


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ("txt", "段落{n}说的是第{n}件事情。\n\n"),
        ("md", "## 第{n}节\n\nIt is about topic {n}, and nothing else.\n\n"),
        ("csv", "{n},name {n},上海,some more words of a row\n"),
        ("py", "def function_{n}(x: int) -> int:\n    return x + {n}\n\n"),
    ],
)
def test_texts_of_megabytes_are_read_to_their_end(ending: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / f"large.{ending}"
    path.write_text("".join(line.format(n=n) for n in range(60_000)), "utf-8")
    assert path.stat().st_size > 2_000_000
    with Extractor(memory=256 << 20) as frugal:
        document = frugal.extract(path)
    assert not document.cut
    cut = passages(document)
    for number in (71, 31_234, 59_999):
        holding = [passage for passage in cut if re.search(rf"(?<!\d){number}(?!\d)", passage.text)]
        assert len(holding) == 1
    assert max(size(passage.text) for passage in cut) <= 1.1 * MOST


def test_a_spine_that_goes_round_in_circles(extractor: Extractor, tmp_path: Path) -> None:
    path = write_epub(tmp_path / "a.epub")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["OEBPS/book.opf"] = members["OEBPS/book.opf"].replace(
        b'<itemref idref="a"/>', b'<itemref idref="a"/>' * 100_000
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    pages = extractor.extract(path).pages
    assert [(page.number, page.text) for page in pages] == [(1, "第一章\n\n从前有座山。"), (2, "Two\n\nThe end.")]


def test_a_notebook_without_its_pictures(extractor: Extractor, tmp_path: Path) -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo" * 1000, "text/plain": ["<Figure>"]}}
    printed = {"output_type": "stream", "text": ["42\n"]}
    cells = [
        {"cell_type": "markdown", "source": ["# Tea\n", "Green tea."]},
        {"cell_type": "code", "source": "print(6 * 7)", "outputs": [printed, picture]},
        {"cell_type": "code", "source": [], "outputs": []},
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}), "utf-8")
    document = extractor.extract(path)
    assert document.text == "Tea\n\nGreen tea.\n\nprint(6 * 7)\n\n42\n\n<Figure>"
    assert document.title == "Tea"
    path.write_text('{"worksheets": []}', "utf-8")
    assert extractor.extract(path).text == '{"worksheets": []}'


def test_what_is_no_text_is_said(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(random.Random(1).randbytes(100_000))
    with pytest.raises(ExtractionFailed, match="no text"):
        extractor.extract(path)


def test_headings_of_a_line_without_end(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "spaces.md"
    path.write_text("#" + " " * 300_000 + "x" + " " * 300_000 + "#y\n# Title ##\n#\n####### seven\n", "utf-8")
    blocks = extractor.extract(path).pages[0].blocks
    assert [(block.kind, block.text.split()[-1]) for block in blocks] == [
        (Kind.HEADING, "#y"),
        (Kind.HEADING, "Title"),
        (Kind.PARAGRAPH, "seven"),
    ]


def test_a_workbook_whose_size_is_wrong_or_whose_cells_are_far_apart(extractor: Extractor, tmp_path: Path) -> None:
    path = write_sheets(tmp_path / "wrong.xlsx")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b'ref="A1:B4"' in members[sheet]
    members[sheet] = members[sheet].replace(b'ref="A1:B4"', b'ref="A1"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert extractor.extract(path).pages[0].text == "品名 | 价格\n苹果 | 5.5\n梨\n香蕉 | 3"
    workbook = openpyxl.Workbook()
    workbook.active["A1"], workbook.active["XFD90000"] = "first", "last"
    workbook.save(path)
    assert extractor.extract(path).pages[0].text == "first\nlast"


def test_a_file_that_takes_too_long_or_too_much_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "slow.html"
    path.write_text("<p>word</p>" * 3_000_000, "utf-8")
    with Extractor(seconds=0.5) as hurried:
        with pytest.raises(ExtractionFailed, match="too long"):
            hurried.extract(path)
        good = tmp_path / "good.txt"
        good.write_text("good", "utf-8")
        with Extractor() as patient:
            assert patient.extract(good).text == "good"
    with Extractor(memory=64 << 20) as frugal, pytest.raises(ExtractionFailed, match="memory"):
        frugal.extract(path)


def good_documents(folder: Path) -> list[Path]:
    texts = {
        "a.html": "<html><body><h1>题</h1><table><tr><td>1</td></tr></table></body></html>".encode("gbk"),
        "a.csv": 'a;b\n1;"二"\n'.encode(),
        "a.md": "# 题\n\n```\ncode\n```\n| a | b |\n| - | - |\n".encode(),
        "a.txt": CHINESE.encode("utf-16"),
        "a.py": b"def main() -> None:\n    pass\n",
    }
    for name, data in texts.items():
        (folder / name).write_bytes(data)
    return [
        write_word(folder / "a.docx"),
        write_slides(folder / "a.pptx"),
        write_sheets(folder / "a.xlsx"),
        write_epub(folder / "a.epub"),
        write_pdf(folder / "a.pdf", ["one", "two"]),
        *(folder / name for name in texts),
    ]


def check_damaged(folder: Path, seed: int, count: int) -> None:
    """Whatever is damaged in a document of any kind, it is read or said to be damaged."""
    rng = random.Random(seed)
    for path in good_documents(folder):
        good = path.read_bytes()
        for _ in range(count):
            path.write_bytes(damaged_document(good, rng))
            try:
                extract(path)
            except ExtractionFailed as error:
                assert path.name in str(error)


def test_damaged_files_are_said_to_be_damaged(tmp_path: Path) -> None:
    check_damaged(tmp_path, 4, 12)
    for name in ("empty.docx", "empty.pdf", "empty.epub"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ExtractionFailed, match=name):
            extract(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_two_thousand_damages_of_each_kind(seed: int, tmp_path: Path) -> None:
    check_damaged(tmp_path, seed, 400)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.epub"])
def test_an_archive_whose_places_are_wrong_is_damaged_and_a_failing_disk_is_no_damage(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(path for path in good_documents(tmp_path) if path.name == name)

    def seek(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    with monkeypatch.context() as patch:  # as the system answers a place before the beginning of a file
        patch.setattr(zipfile._SharedFile, "seek", seek, raising=True)
        patch.setattr(zipfile._SharedFile, "read", seek, raising=True)
        with pytest.raises(ExtractionFailed, match="damaged"):
            extract(path)
    path.chmod(0)
    if not os.access(path, os.R_OK):
        with pytest.raises(PermissionError):
            extract(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        extract(path)


def test_other_files_are_refused(extractor: Extractor, tmp_path: Path) -> None:
    (tmp_path / "a.exe").write_bytes(b"MZ")
    with pytest.raises(ExtractionFailed, match="kind"):
        extractor.extract(tmp_path / "a.exe")
    with pytest.raises(ZhiyinError):
        extractor.extract(tmp_path / "missing.txt")
