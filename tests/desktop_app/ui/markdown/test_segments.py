"""Long paragraphs are cut at the same places while they grow."""

from __future__ import annotations

import pytest

from desktop_app.ui.markdown.segments import cuts


@pytest.mark.parametrize(
    "text",
    [
        "[" * 9000,
        "word **bold** text. " * 2500,
        "x" * 70_000,
        "中文句子。" * 8000,
        "[a](b) " * 4000,
        "*a " * 9000,
        "a" * 900 + "*",
        "\\[" * 4000 + "x " * 20_000,
        "`" + "word " * 9000,
    ],
)
def test_cuts_of_a_beginning_stay(text: str) -> None:
    found = cuts(text)
    assert found == sorted(set(found))
    assert all(0 < position <= len(text) for position in found)
    for end in range(0, len(text), 997):
        some = cuts(text[:end])
        assert found[: len(some)] == some, end
    if found:
        assert [position + found[0] for position in cuts(text[found[0] :])] == found[
            1:
        ]  # as where it is parsed on from there
    pieces = [text[start:end] for start, end in zip([0, *found], [*found, len(text)], strict=True)]
    assert max(map(len, pieces)) <= 8_020


def test_ordinary_paragraphs_are_whole() -> None:
    assert cuts("A sentence with **bold** words, `code` and [a link](https://example.org). " * 15) == []
    assert cuts("没有换行的一长段中文，" * 700) == []


def test_cuts_stand_where_no_mark_is_open() -> None:
    text = "**bold words** and `code with spaces` here. " * 700
    for position in cuts(text):
        assert text[:position].count("**") % 2 == 0
        assert text[:position].count("`") % 2 == 0
        assert text[position] == " "
