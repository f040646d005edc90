"""A reply's guesses: none while others are answered, none too many, and what came true is counted."""

from __future__ import annotations

from desktop_app.engine.speculation.drafts import Drafts
from desktop_app.engine.speculation.pace import Pace
from desktop_app.sequences import MOST_GUESSES

CYCLE = [1, 2, 3, 4, 5, 6, 7]


def learned() -> Pace:
    """Return a pace that guesses as much as there is room for."""
    pace = Pace()
    for _ in range(300):
        pace.note_step(0, 1.0)
        pace.note_guess(32, right=True)
    return pace


def test_what_came_true_is_counted() -> None:
    drafts = Drafts(learned(), CYCLE * 8, MOST_GUESSES, lambda: True)
    drafts.add(1)
    assert list(drafts.next(100)) == (CYCLE * 3)[1 : MOST_GUESSES + 1]
    for token in (2, 3, 4, 9):
        drafts.add(token)
    assert (drafts.guessed, drafts.right) == (MOST_GUESSES, 3)
    assert list(drafts.next(100)) == [], "nothing like it stood before"


def test_there_are_none_beside_other_replies() -> None:
    alone = False
    drafts = Drafts(learned(), CYCLE * 8, MOST_GUESSES, lambda: alone)
    drafts.add(1)
    assert list(drafts.next(100)) == []
    alone = True
    drafts.add(2)
    assert list(drafts.next(100)) != []


def test_no_more_than_there_is_room_for() -> None:
    drafts = Drafts(learned(), CYCLE * 8, 7, lambda: True)
    drafts.add(1)
    assert len(drafts.next(100)) == 7
    for token in (2, 3, 4, 5, 6, 7, 1, 2):
        drafts.add(token)
    assert len(drafts.next(3)) == 3
    assert list(drafts.next(0)) == list(drafts.next(-1)) == []
