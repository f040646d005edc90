"""Passages: nothing is lost or there twice, none is too long, headings and tables stay with what they are about."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from desktop_app.documents.chunking import MOST, passages, sentences, size, table_parts
from desktop_app.documents.document import Block, Document, Kind, Page

KINDS = st.sampled_from(list(Kind))
TEXTS = st.text("知音。！？abc .,\n", min_size=1, max_size=900).filter(str.strip)


def characters(text: str) -> str:
    return "".join(text.split())


@given(st.lists(st.tuples(TEXTS, KINDS), max_size=6))
def test_each_text_is_in_the_passages_and_none_is_too_long(blocks: list[tuple[str, Kind]]) -> None:
    document = Document([Page(1, [Block(text, kind, 1) for text, kind in blocks if kind is not Kind.TABLE])])
    found = passages(document)
    wanted = "".join(characters(text) for text, kind in blocks if kind is not Kind.TABLE)
    assert characters("".join(passage.text for passage in found)) == wanted
    heading = max((size(text) for text, kind in blocks if kind is Kind.HEADING), default=0)
    assert all(size(passage.text) <= 2 * MOST + heading for passage in found)


def test_chinese_sentences() -> None:
    assert list(sentences("你好。他说：“走吧！”然后？Yes. No!")) == [
        "你好。",
        "他说：“走吧！”",
        "然后？",
        "Yes. ",
        "No!",
    ]


def test_an_endless_line_is_cut() -> None:
    text = "字" * 5000
    found = passages(Document([Page(0, [Block(text)])]))
    assert "".join(passage.text for passage in found) == text
    assert all(size(passage.text) <= MOST for passage in found)


def test_headings_and_pages() -> None:
    document = Document(
        [
            Page(3, [Block("Top", Kind.HEADING, 1), Block("Sub", Kind.HEADING, 2), Block("first")]),
            Page(4, [Block("second"), Block("Other", Kind.HEADING, 2), Block("third")]),
        ]
    )
    found = passages(document)
    last = found[-1]
    assert (last.headings, last.page, last.last_page) == ("Top › Other", 4, 4)
    before = next(passage for passage in found if "first" in passage.text)
    assert (before.headings, before.page, before.last_page) == ("Top › Sub", 3, 4)


def test_a_heading_alone_is_no_passage_and_a_thousand_of_them_are_many() -> None:
    blocks = [Block("Tea", Kind.HEADING, 1), Block("Green", Kind.HEADING, 2), Block("eighty degrees")]
    (only,) = passages(Document([Page(0, blocks)]))
    assert (only.text, only.headings) == ("Tea\n\nGreen\n\neighty degrees", "Tea › Green")
    found = passages(Document([Page(0, [Block(f"Heading {n}", Kind.HEADING, 1) for n in range(1000)])]))
    assert all(size(passage.text) <= MOST for passage in found)
    assert "Heading 999" in found[-1].text


def test_what_is_too_wide_to_be_repeated_is_cut_once() -> None:
    heading = "word " * 5000
    (table,) = [Block("\n".join([" | ".join(f"column {n}" for n in range(900))] * 3), Kind.TABLE)]
    for block in (Block(heading, Kind.HEADING, 1), table, Block("a | b\n" + "cell " * 5000, Kind.TABLE)):
        found = passages(Document([Page(0, [block])]))
        assert all(size(passage.text) <= 1.1 * MOST for passage in found)
        assert characters("".join(passage.text for passage in found)) == characters(block.text)


def test_tables_repeat_their_first_row() -> None:
    rng = random.Random(1)
    rows = [f"row {n} | {rng.random()}" for n in range(200)]
    found = list(table_parts("\n".join(["name | value", *rows])))
    assert len(found) > 1
    assert all(part.startswith("name | value\n") for part in found)
    assert [row for part in found for row in part.split("\n")[1:]] == rows
