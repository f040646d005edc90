"""Bold, italics and struck-out text beside Chinese, in which no spaces stand between words."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt

from desktop_app.ui.markdown.parser import _PARSER, parse


def marked(text: str, style: str = "bold") -> list[str]:
    return [span.text for block in parse(text) for span in block.spans if getattr(span, style)]


@pytest.mark.parametrize(
    ("text", "bold"),
    [
        ("**注意：**请先备份", "注意："),
        ("请先**备份（重要）**再继续", "备份（重要）"),
        ("**“引用”**的内容", "“引用”"),
        ("他说**「你好」**。", "「你好」"),
        ("使用**Python**编写", "Python"),
        ("运行**Python 3.12。**之后", "Python 3.12。"),
        ("**Note:**请看", "Note:"),
        ("（**重点**）", "重点"),
        ("第一步，**下载。**第二步", "下载。"),
        ("한국어**(중요)**입니다", "(중요)"),
        ("これは**「重要」**です", "「重要」"),
    ],
)
def test_bold_beside_full_width_punctuation(text: str, bold: str) -> None:
    assert marked(text) == [bold]
    struck = text.replace("**", "~~")
    assert marked(struck, "strike") == [bold]


def test_chinese_and_latin_are_mixed_in_bold_links_and_code() -> None:
    spans = [span for block in parse("**安装`pip`，见[文档](https://a.cn/文档)。**然后") for span in block.spans]
    assert [span.text for span in spans if span.bold] == ["安装", "pip", "，见", "文档", "。"]
    assert [span.text for span in spans if span.code] == ["pip"]
    assert [span.text for span in spans if span.link] == ["文档"]
    assert spans[-1].text == "然后"


def test_between_other_characters_nothing_changes() -> None:
    plain = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    draw = random.Random(1)
    for _ in range(3000):
        text = "".join(draw.choices(["*", "**", "_", "~~", "a", " ", ".", "(", ")", "“", "é", "x y"], k=9))
        assert _PARSER.renderInline(text) == plain.renderInline(text), text
