"""The reading speed of this computer: asked of the real engine process, kept in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from desktop_app.planning import speed
from desktop_app.planning.speed import known_speed, read_speed
from desktop_app.system import read_speed as facts
from desktop_app.system.read_speed import TYPES, ReadSpeed


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def test_a_speed_is_measured_once(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_STEADY", math.inf)  # tests run beside other programs
    first = read_speed(engine, tmp_path / "speed.json")
    monkeypatch.setattr(speed, "measure", lambda _: pytest.fail("measured again"))
    assert read_speed(engine, tmp_path / "speed.json").by_type == first.by_type


def test_beside_busy_programs_the_fastest_of_several_measurements_counts(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They only ever make it slower; and it is measured again until they are quiet."""
    store, names = tmp_path / "speed.json", TYPES
    rows = dict.fromkeys(names, 0.0)
    busy = [ReadSpeed(dict.fromkeys(names, 1e9) | {names[n]: 5e9}, 2, rows, 3.0, copied=3e9) for n in range(4)]
    quiet = ReadSpeed(dict.fromkeys(names, 4e9), 2, dict.fromkeys(names, 1e-9), 1.1, copied=3e9)
    measured = iter([*busy, quiet])
    monkeypatch.setattr(speed, "measure", lambda _: next(measured))

    first = read_speed(engine, store)
    assert [first.of(name) for name in names[:4]] == [5e9, 5e9, 5e9, 1e9]
    assert first.disturbed
    assert known_speed(store) is None

    assert [read_speed(engine, store).of(name) for name in names[:4]] == [5e9] * 4
    last = read_speed(engine, store)
    assert (last.disturbed, last.of(names[0]), last.of(names[-1])) == (False, 5e9, 4e9)
    assert known_speed(store) == last == read_speed(engine, store)


def test_a_speed_that_cannot_be_stored_is_told_all_the_same(engine: Engine, tmp_path: Path) -> None:
    assert read_speed(engine, tmp_path / "no folder" / "speed.json").of("Q8_0") > 0


def test_a_damaged_store_is_measured_again(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text('{"computer": 3')
    assert read_speed(engine, tmp_path / "speed.json").of("Q8_0") > 0
