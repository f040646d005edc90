"""Markdown to blocks: nothing is run or loaded, and a growing text gives what the whole text gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_app.ui.markdown.parser import Block, parse, safe_link
from desktop_app.ui.markdown.span import Span
from desktop_app.ui.markdown.streaming import StreamingParser

TEXT = """# Title

Some **bold**, *italic*, ~~gone~~ and `code`.
A second line.

- one
  - nested
- [x] done

3. third
4. fourth

> quoted
> > twice

| a | b |
|---|:-:|
| 1 | **2** |

```python
print("<b>")
```

---

[link](https://example.org/a) and https://example.org/b. 中文，https://例子.cn/路径。

With $x_1$ and
\\[ a^2
+ b^2 \\]
$$ c = 1 $$
"""


def texts(blocks: list[Block]) -> str:
    return "".join(span.text for block in blocks for span in block.spans)


def test_html_stays_text() -> None:
    source = '<script>alert(1)</script> <img src="http://example.org/x.png"> <b>x</b>'
    [block] = parse(source)
    assert texts([block]) == source
    assert all(not span.link or span.link.startswith("http") for span in block.spans)


def test_a_picture_becomes_a_link_that_is_not_followed() -> None:
    assert parse("![chart](https://example.org/c.png)")[0].spans == (Span("chart", link="https://example.org/c.png"),)
    assert parse("![x](file:///etc/passwd)")[0].spans == (Span("![x](file:///etc/passwd)"),)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://example.org/",
        "JaVaScRiPt:x",
        "//example.org",
    ],
)
def test_only_web_addresses_are_links(address: str) -> None:
    assert safe_link(address) == ""
    assert not any(span.link for block in parse(f"[click]({address})") for span in block.spans)


def test_lists_quotes_tables_and_code() -> None:
    blocks = parse(TEXT)
    assert [b.kind for b in blocks].count("table") == 1
    code = next(b for b in blocks if b.kind == "code")
    assert (code.language, code.text) == ("python", 'print("<b>")')
    assert [(b.marker, b.depth) for b in blocks if b.depth] == [("•", 1), ("◦", 2), ("☑", 1), ("3.", 1), ("4.", 1)]
    assert [b.quote for b in blocks if b.quote] == [1, 2]
    table = next(b for b in blocks if b.kind == "table")
    assert table.rows[1][1] == (Span("2", bold=True),)
    assert table.alignments == ("left", "center")


def test_addresses_end_before_chinese_punctuation() -> None:
    [block] = parse("看 https://example.org/a。再见")
    assert [span.link for span in block.spans] == ["", "https://example.org/a", ""]


def test_a_growing_text_gives_what_the_whole_text_gives() -> None:
    parser = StreamingParser()
    for end in range(1, len(TEXT) + 1):
        assert parser.update(TEXT[:end]) == parse(TEXT[:end]), TEXT[:end]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["# ", "- ", "1. ", "> ", "```", "\n", "\n\n", "a", " b", "|", "---", "**", "`", "    ", "中"])
        | st.sampled_from(["$", "$$", "\\[", "\\]", "\\(x^2\\)", "+ b = ", "\\begin{align}", "\\end{align}", "\\\\"])
    )
)
def test_any_growing_text_gives_what_the_whole_text_gives(pieces: list[str]) -> None:
    parser, text = StreamingParser(), ""
    for piece in pieces:
        text += piece
        assert parser.update(text) == parse(text)


def test_long_and_hostile_texts_end_in_time(tmp_path: Path) -> None:
    for source in (
        "[" * 3000,
        ">" * 3000,
        "*a" * 3000,
        "`" * 5000 + "x",
        "| a " * 2000 + "\n" + "|-" * 2000,
        "$a" * 3000,
        "\\(" * 3000,
        "\\[a=\n" * 3000 + "\n\n",
        "$$x=" + "{" * 3000 + "$$",
        "$" + "\\hat" * 700 + "x$",
    ):
        parse(source)
