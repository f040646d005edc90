"""Texts found in another one, held to a regular expression of alternatives."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from models.vocab.longest import LONGEST, LongestOf

SHORT = st.text("<|a>", max_size=4)


@given(st.lists(SHORT, max_size=8), st.text("<|a>b", max_size=30))
def test_the_same_is_found_as_by_alternatives(texts: list[str], text: str) -> None:
    alternatives = "|".join(re.escape(each) for each in sorted(texts, key=len, reverse=True) if each)
    expected = re.finditer(alternatives, text) if alternatives else ()
    assert list(LongestOf(texts).found_in(text)) == [(match.start(), match.group()) for match in expected]


def test_a_vocabulary_made_for_it_costs_no_time() -> None:
    """A regular expression takes minutes for this, with the GIL held."""
    control = [*(f"<unused{number}>" for number in range(100_000)), *("<" * length for length in range(2, 10_000, 7))]
    found = list(LongestOf(control).found_in("<u" * 100_000))
    assert found == []
    assert sum(len(text) for _, text in LongestOf(control).found_in("<" * 100_000)) > 100_000 - LONGEST
