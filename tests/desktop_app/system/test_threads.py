"""How many threads the engine computes with, on processors and in containers of several kinds."""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app.system import control_groups, processor
from desktop_app.system.processor import fast_windows_cores
from desktop_app.system.threads import thread_counts, usual_threads


def system_of(folder: Path, cores: list[list[int]], capacities: dict[int, int] | None = None) -> None:
    """Linux's files on the cores with the logical processors of each, and on how fast they are where it says that (ARM)."""
    for core in cores:
        for number in core:
            topology = folder / f"cpu{number}" / "topology"
            topology.mkdir(parents=True)
            (topology / "core_cpus_list").write_text(",".join(map(str, core)) + "\n", "ascii")
    for number, capacity in (capacities or {}).items():
        (folder / f"cpu{number}" / "cpu_capacity").write_text(f"{capacity}\n", "ascii")


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Linux on eight cores with two logical processors each."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(processor, "_CPUS", tmp_path / "cpu")
    monkeypatch.setattr(processor, "_INTEL_FAST", tmp_path / "cpu_core" / "cpus")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter(()))
    thread_counts.cache_clear()
    yield
    thread_counts.cache_clear()


def may_use(monkeypatch: pytest.MonkeyPatch, *processors: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(processors), raising=False)


def test_one_for_each_core(tmp_path: Path) -> None:
    assert thread_counts() == (8,)
    system_of(tmp_path / "cpu", [[n, n + 8] for n in range(8)])
    thread_counts.cache_clear()
    assert usual_threads() == 8
    assert processor.performance_cores() == 0


def test_slow_cores_would_hold_the_fast_ones_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intel: six fast cores with two logical processors each, four slow ones."""
    system_of(tmp_path / "cpu", [*([2 * n, 2 * n + 1] for n in range(6)), [12], [13], [14], [15]])
    (tmp_path / "cpu_core").mkdir()
    (tmp_path / "cpu_core" / "cpus").write_text("0-11\n", "ascii")
    assert processor.performance_cores() == usual_threads() == 6
    assert thread_counts() == (6, 8)  # psutil's count of all cores
    thread_counts.cache_clear()
    may_use(monkeypatch, 2, 3, 4, 12, 13, 14)
    assert usual_threads() == 2
    thread_counts.cache_clear()
    may_use(monkeypatch, 13, 14, 15)
    assert usual_threads() == 3


@pytest.mark.parametrize(
    ("capacities", "fast"), [([400] * 4 + [1024] * 4, 4), ([250] * 3 + [790] * 4 + [1024], 5), ([1024] * 8, 0)]
)
def test_fast_cores_of_arm(capacities: list[int], fast: int, tmp_path: Path) -> None:
    system_of(tmp_path / "cpu", [[n] for n in range(8)], dict(enumerate(capacities)))
    assert (processor.performance_cores(), usual_threads()) == (fast, fast or 8)


def test_only_processors_that_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_use(monkeypatch, 0, 1, 2)
    assert usual_threads() == 3
    system_of(tmp_path / "cpu", [[n, n + 8] for n in range(8)])
    thread_counts.cache_clear()
    may_use(monkeypatch, 0, 8, 1, 9)
    assert usual_threads() == 2  # two of one core's share its arithmetic


def test_where_the_system_does_not_say_which_are_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(processor, "performance_cores", lambda: 6)
    assert usual_threads() == 6


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        (2, {"cpu.max": "400000 100000\n"}, 4),
        (2, {"cpu.max": "50000 100000\n"}, 1),
        (2, {"cpu.max": "max 100000\n"}, 8),
        (1, {"cpu.cfs_quota_us": "250000\n", "cpu.cfs_period_us": "100000\n"}, 2),
        (1, {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        (1, {}, 8),
    ],
)
def test_no_more_than_a_container_has_time_for(
    version: int, files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, "ascii")
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter([(version, tmp_path)]))
    assert usual_threads() == expected


def windows_core(efficiency: int, logical: int) -> bytes:
    """PROCESSOR_RELATIONSHIP of one core: flags, class, 20 reserved bytes, groups, one GROUP_AFFINITY."""
    relationship = struct.pack("<BB20xH", logical > 1, efficiency, 1) + struct.pack("<QH6x", (1 << logical) - 1, 0)
    return struct.pack("<II", 0, 8 + len(relationship)) + relationship


def test_windows_tells_fast_cores_by_their_class() -> None:
    fast, slow = windows_core(1, 2), windows_core(0, 1)
    assert fast_windows_cores(fast * 6 + slow * 8) == 6
    assert fast_windows_cores(windows_core(0, 2) * 8) == 0
    assert fast_windows_cores(b"") == 0
