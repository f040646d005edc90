"""Reasoning and answer, told apart in a whole reply and while it streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.chat.reasoning import ReasoningSplitter, split_reasoning

REPLIES = (
    "<think>\nHm, 2 + 2.\n</think>\n\nFour.",
    "\n<think>a</think>b",
    "<think></think>Yes < no > </think",
    "<think>cut off </thi",
    "Four <think>is</thinking> four",
    "<thin ice",
    "<",
    "  plain",
    "",
)


def streamed(pieces: list[str]) -> tuple[str, str]:
    splitter = ReasoningSplitter()
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.finish()]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


@pytest.mark.parametrize("text", REPLIES)
def test_any_cut_gives_what_the_whole_gives(text: str) -> None:
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            reasoning, answer = streamed([text[:first], text[first:second], text[second:]])
            assert (reasoning, answer) == streamed(list(text))
    parts = split_reasoning(text)
    whole = streamed([text])
    if not parts.thinking and "</think>" not in text.removeprefix("<think>").partition("</think>")[2]:
        assert (whole[0], whole[1]) == (parts.reasoning, parts.answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "/", "think>", " ", "\n", "a", "知"]), max_size=12))
def test_nothing_is_lost_and_no_piece_is_taken_back(pieces: list[str]) -> None:
    reasoning, answer = streamed(["<think>", *pieces])
    text = "".join(pieces)
    thought, closed, rest = text.partition("</think>")
    assert reasoning == thought.strip()
    assert answer == (rest.lstrip() if closed else "")
