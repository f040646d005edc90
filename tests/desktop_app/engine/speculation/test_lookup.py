"""Guesses from the context are what followed the same tokens before."""

from __future__ import annotations

from desktop_app.engine.speculation.lookup import LONGEST, NOTHING, PromptLookup


def test_what_followed_before_is_guessed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 9, 1, 2, 3])
    assert lookup.guess(3) == ([4, 5, 6], 3)


def test_nothing_is_guessed_where_nothing_is_the_same() -> None:
    assert PromptLookup([]).guess(4) == NOTHING
    assert PromptLookup([1, 2]).guess(4) == NOTHING
    assert PromptLookup(range(50)).guess(4) == NOTHING
    assert PromptLookup([1, 2, 3, 7, 8, 2, 3]).guess(4) == NOTHING, "two tokens are too few"


def test_of_several_places_the_one_with_the_longest_past_counts() -> None:
    lookup = PromptLookup([8, 9, 1, 2, 3, 4, 7, 9, 1, 2, 3, 5, 8, 9, 1, 2, 3])
    assert lookup.guess(1) == ([4], 5)


def test_of_equal_places_the_newest_counts() -> None:
    assert PromptLookup([1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3]).guess(1) == ([5], 3)


def test_a_text_that_repeats_itself_goes_on_so() -> None:
    assert PromptLookup([1, 2, 1, 2, 1, 2, 1]).guess(5) == ([2, 1, 2, 1, 2], 5)
    assert PromptLookup([7] * 100).guess(4) == ([7] * 4, LONGEST)


def test_a_text_is_followed_as_it_grows() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5])
    for token in (1, 2, 3):
        lookup.add(token)
    assert lookup.guess(2) == ([4, 5], 3)
    lookup.add(4)
    assert lookup.guess(1) == ([5], 4)
