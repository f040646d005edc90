"""A growing text: what the whole text gives, for work in proportion to its length."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import helpers

from desktop_app.ui.markdown import parser as parser_module
from desktop_app.ui.markdown.parser import Block, parse
from desktop_app.ui.markdown.streaming import StreamingParser


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "- a\n",
                "- ",
                "* b\n",
                "+ c\n",
                "1. a\n",
                "2. b\n",
                "0. z\n",
                "7) c\n",
                "  - n\n",
                "   1. m\n",
                "\n",
                "\n",
                "a\n",
                "  more\n",
                "    deep\n",
                "> q\n",
                "> - i\n",
                "> ",
                ">\n",
                "> # h\n",
                "| a | b |\n",
                "|-|:-:|\n",
                "| 1 | **2** |\n",
                "|x",
                "# h\n",
                "---\n",
                "===\n",
                "```\n",
                "- [x] t\n",
                "- ```\n",
                "  ```\n",
                "-\n",
                "1.\n",
                "\\[ a\n",
                "x = 1 \\]\n",
            ]
        ),
        max_size=14,
    )
)
def test_unfinished_blocks_are_what_the_whole_text_gives(pieces: list[str]) -> None:
    parser, text = StreamingParser(), ""
    for piece in pieces:
        text += piece
        assert parser.update(text) == parse(text), text


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The lengths of all that markdown-it is given."""
    lengths: list[int] = []
    real = parser_module._PARSER.parse

    def parse_and_count(text: str, env: object = None) -> object:
        lengths.append(len(text))
        return real(text, env)  # type: ignore[arg-type]

    monkeypatch.setattr(parser_module._PARSER, "parse", parse_and_count)
    yield lengths


TEXTS = {
    "list": "- an item with **bold** text\n",
    "loose list": "1. an item\n\n   and more of it\n\n",
    "nested list": "- an item\n  - one in it\n  - another\n",
    "one item with a list": "  - one in it\n",
    "table": "| a cell | `another` |\n",
    "quote": "> a quoted paragraph\n>\n",
    "quoted list": "> - an item in a quote\n",
    "quoted lines": "> a line of one paragraph\n",
    "brackets": "[ and words ",
    "bracket pairs": "[] ",
    "links": "[a link](https://example.org) and\n",
    "emphasis": "*a* **b** with words ",
    "open emphasis": "*a _b ",
    "code": "a line of code\n",
    "paragraph": "words of a paragraph without an end ",
    "lines": "a line of a poem\n",
    "dollars": "$a ",
    "formulas": "\\(x^2\\) ",
    "code in a list": "  a line of code\n",
    "table in a quote": "> | a cell | `another` |\n",
    "table in a list": "  | a cell | another |\n",
    "a row without an end": "**a** | `b` | ",
    "references": "[a]: https://example.org\n",
    "chinese": "这是一个**重点**段落，包含很多字。",
}
BEGINNINGS = {
    "table": "| a | b |\n|---|---|\n",
    "code": "```python\n",
    "one item with a list": "- an item\n",
    "code in a list": "- an item\n  ```\n",
    "table in a quote": "> | a | b |\n> |---|---|\n",
    "table in a list": "- an item\n\n  | a | b |\n  |---|---|\n",
    "a row without an end": "| a | b |\n|---|---|\n| ",
}


def work(kind: str, length: int, step: int, parsed: list[int]) -> int:
    parsed.clear()
    parser, piece = StreamingParser(), TEXTS[kind]
    text = BEGINNINGS.get(kind, "") + piece * (length // len(piece))
    for end in range(0, len(text), step):
        parser.update(text[:end])
    blocks = parser.update(text, final=True)
    done = sum(parsed)
    assert shown(blocks) == shown(parse(text))
    return done


def shown(blocks: list[Block]) -> list[object]:
    """Without the runs of a text, which may part at other places."""
    return [
        ("".join(s.text for s in b.spans), b.kind, b.depth, b.marker, b.quote, b.text, len(b.rows), b.tight)
        for b in blocks
    ]


@pytest.mark.parametrize("step", [20, 160])
@pytest.mark.parametrize("kind", list(TEXTS))
def test_the_work_grows_with_the_length(kind: str, step: int, parsed: list[int]) -> None:
    """Counted in characters that markdown-it parses, for a text that comes in pieces of so many."""
    done = [work(kind, count * 50 * step, step, parsed) for count in (1, 2, 4)]
    ratios = [more / less for less, more in pairwise(done)]
    assert max(ratios) <= 2.2, (done, ratios)


@pytest.mark.parametrize("kind", list(TEXTS))
def test_a_text_may_end_at_any_character(kind: str) -> None:
    """markdown-it 4.0 looked behind the end of a quote in which a table begins."""
    text = BEGINNINGS.get(kind, "") + TEXTS[kind] * 3
    for end in range(len(text)):
        assert StreamingParser().update(text[:end]) == parse(text[:end])


@pytest.mark.parametrize("text", ["[" * 400, "![" * 400, "- " + "[" * 400, "[ a ] " * 200])
def test_brackets_that_begin_no_link_are_read_once_each(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the end of each one reads the rest of the text each time."""
    looked = []
    monkeypatch.setattr(helpers, "parseLinkLabel", lambda *asked: looked.append(asked) or -1)
    parse(text)
    assert not looked
    parse("[a](https://b.c)")
    assert looked


def test_links_of_every_kind_are_still_found() -> None:
    text = "[a](https://a.b) [[b]](https://c.d) ![c](https://e.f) [d][x] [x]\n\n[x]: https://g.h\n"
    [block] = parse(text)
    assert [span.link for span in block.spans if span.link] == [
        "https://a.b", "https://c.d", "https://e.f", "https://g.h", "https://g.h"
    ]  # fmt: skip


def read_again(parser: StreamingParser, text: str) -> StreamingParser:
    """Return the parser that has read a text with all addresses that it defines."""
    for _ in range(2):
        again = parser.begun_again()
        if again is None:
            return parser
        parser = again
        for end in (*range(50, len(text), 50), len(text)):
            parser.update(text[:end])
    assert parser.begun_again() is None
    return parser


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "[a] and [b][a]\n", "- [a]\n", "> [b]\n", "| [a] | [b] |\n|-|-|\n", "| [b] | x |\n", "# [a]\n", "\n", "\n",
                "[a]: https://a.b\n", "[A]: https://c.d\n", "> [b]: https://e.f\n", "- [b]: https://g.h\n", "[a]:", "x\n",
                "[b]: https://i.j",
            ]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_links_find_addresses_that_come_behind_them(pieces: list[str]) -> None:
    parser, text = StreamingParser(), ""
    for piece in pieces:
        text += piece
        parser.update(text)
    assert read_again(parser, text).update(text, final=True) == parse(text), text


def test_addresses_are_known_where_they_were_defined_before() -> None:
    parser, text = StreamingParser(), "[a]: https://a.b\n\nwords\n\n"
    for _ in range(20):
        text += "words and [a]\n\n"
        assert parser.update(text) == parse(text)
    assert parser.begun_again() is not None, "the parser cannot know that nothing stood before the address"
    assert read_again(parser, text).update(text, final=True) == parse(text)
