"""Reasoning and answer, told apart in a whole reply and while it streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.chat.reasoning import ReasoningClock, ReasoningSplitter, split_reasoning

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


def heard(clock: ReasoningClock, *pieces: str) -> tuple[list[bool], dict[str, float]]:
    """Let a clock hear a piece each second, from the hundredth on."""
    return [clock.hear(piece, 100.0 + number) for number, piece in enumerate(pieces)], clock.facts


def test_the_time_of_the_reasoning_is_from_the_first_word_to_its_end() -> None:
    assert heard(ReasoningClock(), "<th", "ink>Hm", ", 2", "</thi", "nk>", "Four", ".") == (
        [False, False, False, False, True, False, False],
        {"thinking_seconds": 4.0},
    )
    assert heard(ReasoningClock(), "<think>Hm", "so", "far") == ([False] * 3, {"thinking_seconds": 2.0})


def test_without_reasoning_there_is_no_time() -> None:
    assert heard(ReasoningClock(), "Four", ".", "<think>no</think>") == ([False] * 3, {})


def test_a_reply_that_goes_on_adds_to_its_time() -> None:
    assert heard(ReasoningClock("<think>Hm", 3.0), ", 2", "</think>Four") == ([False, True], {"thinking_seconds": 4.0})
    assert heard(ReasoningClock("<think>Hm</think>Fo", 3.0), "ur") == ([False], {"thinking_seconds": 3.0})
