"""The measured reading speed: real matrix products of libggml."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.engine import bandwidth
from desktop_app.engine.graph.builder import Context


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.001)
    monkeypatch.setattr(bandwidth, "_WEIGHT_BYTES", 1 << 20)
    monkeypatch.setattr(bandwidth, "_ROWS", 64)


def test_every_type_has_a_speed_and_graphs_go_on_in_the_same_process() -> None:
    Context(1).close()
    speed = bandwidth.measure()
    Context(1).close()
    assert all(speed.of(name) > 0 for name in bandwidth._TYPES)
    assert speed.of("BF16") == speed.of("F16")
    assert speed.of("MXFP4") == speed.of("Q4_0")


def test_a_fast_computer_measures_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.05)  # hundreds of rounds, each with its work space
    monkeypatch.setattr(bandwidth, "_WORK_BYTES", 4 << 20)
    assert bandwidth.measure().of("Q6_K") > 0


def test_a_speed_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_UNDISTURBED", 0.0)  # tests run beside other programs
    first = bandwidth.read_speed(tmp_path / "speed.json")
    monkeypatch.setattr(bandwidth, "measure", lambda: pytest.fail("measured again"))
    assert bandwidth.read_speed(tmp_path / "speed.json").by_type == first.by_type


def test_beside_busy_programs_the_fastest_of_several_measurements_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They only ever make it slower; and it is measured again until they are quiet."""
    store, names = tmp_path / "speed.json", bandwidth._TYPES
    busy = [bandwidth.ReadSpeed(dict.fromkeys(names, 1e9) | {names[n]: 5e9}, 2, 0.4) for n in range(4)]
    quiet = bandwidth.ReadSpeed(dict.fromkeys(names, 4e9), 2, 0.9)
    measured = iter([*busy, quiet])
    monkeypatch.setattr(bandwidth, "measure", lambda: next(measured))

    first = bandwidth.read_speed(store)
    assert [first.of(name) for name in names[:4]] == [5e9, 5e9, 5e9, 1e9]
    assert first.disturbed
    assert bandwidth.known_speed(store) is None

    assert [bandwidth.read_speed(store).of(name) for name in names[:4]] == [5e9] * 4
    last = bandwidth.read_speed(store)
    assert (last.disturbed, last.of(names[0]), last.of(names[-1])) == (False, 5e9, 4e9)
    assert bandwidth.known_speed(store) == last == bandwidth.read_speed(store)


@pytest.mark.parametrize(
    ("counts", "speeds", "best"),
    [
        ((4,), {}, 4),
        ((2, 10), {2: 20e9, 10: 38e9}, 10),
        ((6, 14), {6: 40e9, 14: 42e9}, 6),
        ((4, 8), {4: 60e9, 8: 35e9}, 4),
    ],
    ids=["all alike", "few fast cores", "enough fast cores", "slow cores in the way"],
)
def test_slow_cores_compute_too_where_that_is_measured_to_be_faster(
    counts: tuple[int, ...], speeds: dict[int, float], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bandwidth, "thread_counts", lambda: counts)
    monkeypatch.setattr(bandwidth, "_measure_type", lambda type_, threads: (speeds.get(threads, 1e9), 1.0))
    assert bandwidth.measure().threads == best


def test_a_speed_that_cannot_be_stored_is_told_all_the_same(tmp_path: Path) -> None:
    assert bandwidth.read_speed(tmp_path / "no folder" / "speed.json").of("Q8_0") > 0


def test_a_damaged_store_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text('{"computer": 3')
    assert bandwidth.read_speed(tmp_path / "speed.json").of("Q8_0") > 0
