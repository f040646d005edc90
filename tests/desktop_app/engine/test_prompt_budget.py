"""How many tokens of prompts go beside running replies, on computers whose costs are known."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from desktop_app.engine.prompt_budget import PromptBudget

STEP = 0.008
"""Seconds of a step without prompts."""

COSTS: dict[str, Callable[[int, int], float]] = {
    "as long as its tokens": lambda tokens, read: STEP + 0.0012 * tokens,
    "a price for any part": lambda tokens, read: STEP + 0.004 + 0.0003 * tokens,
    "attention over what was read": lambda tokens, read: STEP + tokens * (0.0005 + 4e-7 * read),
    "cheap from 32 tokens on": lambda tokens, read: STEP + (0.0004 if tokens >= 32 else 0.0008) * tokens,
}


def read_prompt(cost: Callable[[int, int], float], length: int, busy: random.Random | None = None) -> list[float]:
    """Return the seconds of each step in which a prompt is read beside one reply."""
    budget = PromptBudget(512)
    for _ in range(20):
        budget.note([1], STEP)
    read, steps = 0, []
    while read < length:
        tokens = min(budget.prompt_tokens(1, 1), length - read)
        seconds = cost(tokens, read) * (busy.choice((1.0, 1.0, 1.0, 1.6)) if busy else 1.0)
        budget.note([1, tokens] if tokens > 1 else [1, 1], seconds)
        steps.append(seconds)
        read += tokens
    return steps


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_a_reply_waits_at_most_three_times_its_step(cost: Callable[[int, int], float]) -> None:
    steps = sorted(read_prompt(cost, 4000))
    assert steps[int(0.95 * len(steps))] < 3 * STEP
    assert steps[-1] < 3 * STEP


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_a_prompt_takes_the_time_that_there_is(cost: Callable[[int, int], float]) -> None:
    steps = read_prompt(cost, 4000)
    assert sum(steps) / len(steps) > 1.5 * STEP


def test_a_busy_computer_is_no_reason_to_read_token_by_token() -> None:
    quiet, busy = (
        read_prompt(COSTS["as long as its tokens"], 4000),
        read_prompt(COSTS["as long as its tokens"], 4000, random.Random(1)),
    )
    assert len(busy) < 2 * len(quiet)


def test_a_prompt_without_replies_beside_it_takes_the_whole_batch() -> None:
    budget = PromptBudget(512)
    assert budget.prompt_tokens(0, 1) == 512
    budget.note([512], 0.4)
    assert budget.prompt_tokens(0, 1) == 512


def test_several_prompts_without_replies_share_steps_that_a_stop_interrupts() -> None:
    budget = PromptBudget(512)
    budget.note([512], 0.512)
    assert budget.prompt_tokens(0, 2) == 100


def test_replies_that_fill_the_batch_leave_a_token() -> None:
    assert PromptBudget(4).prompt_tokens(3, 1) == 1


def test_a_short_prompt_that_is_read_whole_makes_no_part_smaller() -> None:
    budget = PromptBudget(512)
    for _ in range(20):
        budget.note([1], STEP)
        budget.note([1, 4], STEP * 1.2)
    part = budget.prompt_tokens(1, 1)
    budget.note([1, part + 20], STEP * 9)
    assert budget.prompt_tokens(1, 1) == part
