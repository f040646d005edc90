"""Whether there is room for measuring: by the plan, with the logits of all positions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.configuration import Computer
from desktop_app.planning.load_plan import LoadPlanner
from desktop_app.planning.planner import DOES_NOT_FIT
from desktop_app.quality.measurement import MeasureRequest, measure_in
from desktop_app.quality.memory import Room
from desktop_app.quality.texts import BUILT_IN, measuring_text
from models.errors import ZhiyinError
from tests.desktop_app.planning.test_planner import COMPUTERS

VOCABULARY = 49152
LAPTOP = COMPUTERS["16 GB laptop"]


def test_logits_of_all_positions_are_counted(starter_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadPlanner, "computer", lambda _: LAPTOP)
    with Engine() as engine:
        one, many = (Room(engine).check(starter_gguf, LoadSettings(512, logit_rows=rows)).bytes for rows in (1, 256))
    assert many - one == 3 * 4 * 255 * VOCABULARY


@pytest.mark.parametrize("repacked", [frozenset(), frozenset({"Q4_1"})])
def test_weights_of_the_files_own_pages_may_be_more(
    repacked: frozenset[str], starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read again for each part of the text; weights that the processor repacks have to fit."""
    computer = replace(LAPTOP, repacked=repacked, corrections={})
    monkeypatch.setattr(LoadPlanner, "computer", lambda _: computer)
    with Engine() as engine:
        main = Room(engine).check(starter_gguf, LoadSettings(512, logit_rows=256)).shares[0]
        computer = replace(computer, free_bytes=computer.free_bytes - main.free + main.total - main.weights // 2)
        if not repacked:
            assert Room(engine).check(starter_gguf, LoadSettings(512, logit_rows=256)).shortfall
            return
        with pytest.raises(ZhiyinError, match="unload the model of the chats") as refused:
            Room(engine).check(starter_gguf, LoadSettings(512, logit_rows=256))
        assert refused.value.code == DOES_NOT_FIT


def test_nothing_is_loaded_where_there_is_no_room(starter_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Computer = replace(LAPTOP, free_bytes=0)
    monkeypatch.setattr(LoadPlanner, "computer", lambda _: nothing)
    with Engine() as engine, pytest.raises(ZhiyinError, match=r"Measuring SmolLM2.* takes .* of memory, and 0"):
        measure_in(engine, MeasureRequest(starter_gguf, measuring_text(), BUILT_IN))
