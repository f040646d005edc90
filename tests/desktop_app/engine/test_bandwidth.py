"""The measured reading speed: real matrix products of libggml."""

from __future__ import annotations

import pytest

from desktop_app.engine import bandwidth
from desktop_app.engine.graph.builder import Context
from desktop_app.system.read_speed import TYPES


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.001)
    monkeypatch.setattr(bandwidth, "_WEIGHT_BYTES", 1 << 20)
    monkeypatch.setattr(bandwidth, "_ROWS", 64)


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
