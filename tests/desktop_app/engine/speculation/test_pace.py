"""How many guesses are made follows what they cost and how often they are right; simulated, without a clock."""

from __future__ import annotations

import numpy as np
import pytest

from desktop_app.engine.speculation.pace import Pace
from desktop_app.sequences import GUESS_COUNTS, MOST_GUESSES

STEP = 0.02


def simulated(
    cost: float, right: float, tokens: int = 3000, *, match: int = 32, noise: float = 0.1
) -> tuple[float, Pace]:
    """Write tokens with guesses that cost so many steps and are right so often; return how many times faster that was."""
    rng = np.random.default_rng(1)
    pace, seconds, written = Pace(), 0.0, 0
    while written < tokens:
        guesses = pace.worth(match, MOST_GUESSES)
        came = 0
        for _ in range(max(guesses, 1)):
            hit = bool(rng.random() < right)
            pace.note_guess(match, hit)
            if not hit:
                break
            came += 1
        took = STEP * (1 + cost * guesses) * (1 + noise * abs(rng.standard_normal()))
        pace.note_step(guesses, took)
        seconds += took
        written += 1 + min(came, guesses)
    return written * STEP * (1 + noise * 0.8) / seconds, pace


@pytest.mark.parametrize(
    ("cost", "right", "least"), [(0.1, 0.99, 3.5), (0.6, 0.99, 1.3), (0.1, 0.7, 1.6), (0.02, 0.5, 1.6)]
)
def test_guesses_that_pay_are_made(cost: float, right: float, least: float) -> None:
    assert simulated(cost, right)[0] > least


@pytest.mark.parametrize(("cost", "right"), [(0.6, 0.5), (1.0, 0.9), (1.5, 0.99), (0.3, 0.1), (0.9, 0.0)])
def test_guesses_that_do_not_pay_are_given_up(cost: float, right: float) -> None:
    assert simulated(cost, right)[0] > 0.97


def test_nothing_is_guessed_before_a_step_was_measured() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note_guess(32, right=True)
    assert pace.worth(32, MOST_GUESSES) == 0
    for _ in range(10):
        pace.note_step(0, STEP)
    assert pace.worth(32, MOST_GUESSES) == MOST_GUESSES


def test_no_more_is_guessed_than_there_is_room_for() -> None:
    _, pace = simulated(0.05, 1.0, 500)
    assert [pace.worth(32, most) for most in (0, 1, 2, 6, 7, 100)] == [
        0,
        GUESS_COUNTS[0],
        GUESS_COUNTS[0],
        GUESS_COUNTS[1],
        GUESS_COUNTS[2],
        MOST_GUESSES,
    ]


def test_short_matches_are_learned_apart_from_long_ones() -> None:
    _, pace = simulated(0.3, 1.0, 500)
    for _ in range(100):
        pace.note_guess(3, right=False)
    assert pace.worth(32, MOST_GUESSES) == MOST_GUESSES
    assert pace.worth(3, MOST_GUESSES) == 0


def test_what_became_cheaper_is_found_out() -> None:
    """A cost that was measured while another program computed does not count for ever."""
    _, pace = simulated(2.0, 0.99, 500)
    for _ in range(2000):
        pace.note_guess(32, right=True)
        if pace.worth(32, MOST_GUESSES):
            break
    assert pace.worth(32, MOST_GUESSES)
