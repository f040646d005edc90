"""A draft model guesses where that brings more tokens a second, and is left alone where not."""

from __future__ import annotations

from collections.abc import Callable

from desktop_app.engine.speculation.draft_pace import COUNTS, DraftPace

FREE = 100
"""Guesses that there is room for."""


def run(pace: DraftPace, steps: int, tokens: Callable[[int], float], seconds: Callable[[int], float]) -> list[int]:
    """Let steps of one second and more be paced; return how many guesses each had."""
    counts = []
    for _ in range(steps):
        count = pace.worth(FREE)
        counts.append(count)
        pace.note(count, round(tokens(count)), seconds(count))
    return counts


def test_the_number_that_pays_most_is_kept() -> None:
    counts = run(DraftPace(), 200, lambda count: 1 + 0.8 * count, lambda count: 1 + 0.1 * count)
    assert set(counts[:20]) == {0, *COUNTS}
    assert counts[-1] == 7
    assert counts[20:].count(7) > 170


def test_what_does_not_pay_is_switched_off_and_tried_ever_less() -> None:
    pace = DraftPace()
    counts = run(pace, 4000, lambda count: 1, lambda count: 1 + 0.5 * count)
    tried = [at for at, count in enumerate(counts) if count]
    assert len(tried) < 40
    assert tried[-1] > 1000, "a chat may become predictable"
    assert all(count == 0 for count in counts[20:250])


def test_what_paid_is_given_up_when_it_pays_no_more() -> None:
    pace = DraftPace()
    assert run(pace, 100, lambda count: 1 + count, lambda count: 1 + 0.1 * count)[-1] == 7
    assert run(pace, 100, lambda count: 1, lambda count: 1 + 0.5 * count)[-1] == 0


def test_there_are_none_without_room() -> None:
    pace = DraftPace()
    run(pace, 100, lambda count: 1 + count, lambda count: 1.1)
    assert pace.worth(2) == pace.worth(0) == 0
