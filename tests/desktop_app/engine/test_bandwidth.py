"""The measured reading speed: real matrix products of libggml."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf.constants import GGMLQuantizationType

from converter.ggml_types import row_bytes
from desktop_app.engine import bandwidth
from desktop_app.engine.graph.builder import Context
from desktop_app.system.read_speed import TYPES


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.001)
    monkeypatch.setattr(bandwidth, "_WEIGHT_BYTES", 1 << 20)
    monkeypatch.setattr(bandwidth, "_SHAPES", (bandwidth._Shape(1024, 256), bandwidth._Shape(256, 64)))
    monkeypatch.setattr(bandwidth, "_LEAST_SAMPLES", 1)


def test_every_type_has_a_speed_and_graphs_go_on_in_the_same_process() -> None:
    Context(1).close()
    speed = bandwidth.measure()
    Context(1).close()
    assert all(speed.of(name) > 0 for name in TYPES)
    assert speed.of("BF16") == speed.of("F16")
    assert speed.of("MXFP4") == speed.of("Q4_0")


def test_a_fast_computer_measures_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.05)  # hundreds of rounds
    assert bandwidth.measure().of("Q6_K") > 0


def test_where_no_file_can_be_made_memory_of_its_own_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bandwidth, "data_folder", lambda: tmp_path / "not here")
    assert bandwidth.measure().of("F16") > 0


def test_a_computer_too_busy_for_two_rounds_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round may take longer than all are given."""
    monkeypatch.setattr(bandwidth, "_LONGEST", 0.0)
    assert bandwidth.measure().of("Q8_0") > 0


def test_bytes_and_rows_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "thread_counts", lambda: (2,))
    shapes = bandwidth._SHAPES

    def measured(type_: GGMLQuantizationType, threads: int, *, copied: bool = False) -> bandwidth._Times:
        sizes = [shape.rows * row_bytes(type_, shape.columns) for shape in shapes]
        each = [size / 10e9 + shape.rows * 5e-9 for size, shape in zip(sizes, shapes, strict=True)]
        return bandwidth._Times([[seconds * (1.25 if copied else 1) for seconds in each]] * threads)

    monkeypatch.setattr(bandwidth, "_measure_type", measured)
    speed = bandwidth.measure()
    assert speed.of("Q4_K") == pytest.approx(20e9)  # of both threads together
    assert speed.row_seconds["Q4_K"] == pytest.approx(2.5e-9)
    assert (speed.spread, speed.disturbed) == (1.0, False)
    assert speed.of("F16", copied=True) == pytest.approx(0.8 * speed.of("F16"), rel=0.3)


def test_what_a_thread_does_while_another_gives_way_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the memory to itself then, and is twice as fast."""

    def sample(begin: int, end: int, seconds: float) -> bandwidth._Sample:
        return bandwidth._Sample(0, begin * 1e-3, end * 1e-3, seconds * 1e-3, seconds * 1e-3)

    monkeypatch.setattr(bandwidth, "_SHAPES", bandwidth._SHAPES[:1])
    one = [sample(0, 2, 2), sample(2, 4, 2), sample(4, 5, 1), sample(5, 6, 1), sample(6, 7, 1), sample(8, 10, 2)]
    other = [sample(0, 2, 2), sample(2, 4, 2), sample(4, 8, 2), sample(8, 10, 2)]  # the third one gave way
    assert bandwidth._usual([one, other]) == [[2e-3], [2e-3]]
    assert bandwidth._usual([one]) == [[1e-3]]
    monkeypatch.setattr(bandwidth, "_LEAST_SAMPLES", 4)
    assert bandwidth._usual([one, other])[0] == [1e-3], "too few to be told"


def test_measurements_that_differ_are_no_true_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "thread_counts", lambda: (1,))
    times = iter([0.001] * len(TYPES) + [0.002] * len(TYPES))
    monkeypatch.setattr(bandwidth, "_copied_speed", lambda *_: 1.0)
    monkeypatch.setattr(bandwidth, "_measure_type", lambda *_: bandwidth._Times([[next(times)] * 2]))
    speed = bandwidth.measure()
    assert (speed.spread, speed.disturbed) == (2.0, True)


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

    def measured(_: object, threads: int, **__: bool) -> bandwidth._Times:
        seconds = threads / speeds.get(threads, 1e9)
        return bandwidth._Times([(seconds, seconds)] * threads)

    monkeypatch.setattr(bandwidth, "_measure_type", measured)
    assert bandwidth.measure().threads == best
