"""What is offered to somebody without a model, on simulated computers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from desktop_app.library.catalogue import Overview, offers
from desktop_app.library.first_run import USUAL_RATE, suggestions
from desktop_app.planning.configuration import Computer
from tests.desktop_app.planning.test_planner import COMPUTERS, GB, laptop

OFFERED = {
    "4 GB laptop": "chinese Qwen3.5-2B, english SmolLM3-3B, smallest MiniCPM4-0.5B",
    "8 GB laptop": "chinese Qwen3.5-2B, english granite-4.0-h-tiny, smallest MiniCPM4-0.5B",
    "16 GB Mac": "chinese Qwen3.5-9B, english gpt-oss-20b, smallest MiniCPM4-0.5B",
}
SMALL = {"4 GB laptop": laptop(4, used=1.5)}


def named(found: Overview) -> str:
    return ", ".join(f"{one.purpose} {one.offer.model.name}" for one in suggestions(found, USUAL_RATE))


@pytest.mark.parametrize("name", OFFERED)
def test_the_best_for_each_language_and_the_smallest(name: str) -> None:
    computer: Computer = (COMPUTERS | SMALL)[name]
    assert named(Overview(offers(computer))) == OFFERED[name]


def test_each_is_a_chat_model_that_runs_well_and_comes_with_one_click() -> None:
    for computer in (COMPUTERS["16 GB, 6 GB CUDA"], *SMALL.values()):
        found = Overview(offers(computer))
        for one in suggestions(found, USUAL_RATE):
            option = one.offer.option
            assert one.offer.model.chat and option is not None and option.good and option.comfortable
            assert one.offer.entry.licence in ("Apache-2.0", "MIT")
            assert one.offer.download is not None and one.offer.download <= 20 * GB
            assert one.seconds == pytest.approx(one.offer.download / USUAL_RATE)


def test_a_full_disk_and_a_speed_that_is_not_known_leave_the_smaller_ones() -> None:
    known = offers(laptop(16))
    assert named(Overview(known, free_disk=2 * GB)) == (
        "chinese Qwen2.5-0.5B-Instruct, english rwkv7-g1-0.4b, smallest MiniCPM4-0.5B"
    )
    assert named(Overview(known, free_disk=0)) == ""
    unknown = Overview(offers(replace(laptop(16), speed=None)), measured=False)
    assert named(unknown) == "chinese Qwen3.5-2B, english granite-3.3-2b-instruct, smallest MiniCPM4-0.5B"


@pytest.mark.parametrize("memory", [4, 8, 16])
@pytest.mark.parametrize("speed", [3e9, 1.5e9, 0.4e9])
def test_three_are_offered_also_where_a_computer_is_slow_or_busy(memory: int, speed: float) -> None:
    slow = laptop(memory, used=1.5)
    assert slow.speed is not None
    read = dict.fromkeys(slow.speed.by_type, speed)
    for found in (
        Overview(offers(replace(slow, speed=structs.replace(slow.speed, by_type=read)))),
        Overview(offers(replace(slow, speed=None)), measured=False),
    ):
        three = suggestions(found, USUAL_RATE)
        assert [one.purpose for one in three] == ["chinese", "english", "smallest"]
        assert len({one.offer.model.source for one in three}) == 3
        assert min(one.offer.download or 0 for one in three) == three[-1].offer.download
        assert all(found.fits(one.offer) for one in three)
