"""The measured reading speed: real matrix products of libggml."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app import bandwidth
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


def test_a_speed_measured_beside_busy_programs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = bandwidth.ReadSpeed(dict.fromkeys(bandwidth._TYPES, 1e9), 0.4)
    monkeypatch.setattr(bandwidth, "measure", lambda: busy)
    assert bandwidth.read_speed(tmp_path / "speed.json") == busy
    assert bandwidth.known_speed(tmp_path / "speed.json") is None


def test_a_damaged_store_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text('{"computer": 3')
    assert bandwidth.read_speed(tmp_path / "speed.json").of("Q8_0") > 0
