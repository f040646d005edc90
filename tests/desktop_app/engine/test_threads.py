"""How many threads the engine computes with, on processors and in containers of several kinds."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app import control_groups
from desktop_app.engine import threads
from desktop_app.engine.threads import usual_threads
from desktop_app.processor import most_efficient


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "performance_cores", lambda: 0)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter(()))
    usual_threads.cache_clear()
    yield
    usual_threads.cache_clear()


def test_one_for_each_core() -> None:
    assert usual_threads() == 8


def test_slow_cores_would_hold_the_fast_ones_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "performance_cores", lambda: 6)
    assert usual_threads() == 6


def test_only_processors_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert usual_threads() == 3


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
    assert most_efficient(fast * 6 + slow * 8) == 6
    assert most_efficient(windows_core(0, 2) * 8) == 0
    assert most_efficient(b"") == 0
