"""A few kills of each kind of process; `tests.benchmarks.kill_everything` does many, by command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.benchmarks.kill_everything import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
MOUNTING = pytest.mark.skipif(
    sys.platform != "linux" or getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can mount a file system"
)


@pytest.mark.parametrize("kind", ["convert", "pull", "import", "engine"])
def test_nothing_half_done_left_over_or_lost(kind: str, tmp_path: Path) -> None:
    assert run(kind, 1 if kind == "engine" else 2, seed=1, folder=tmp_path).falls == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["window", "crowd"])
def test_windows_and_many_at_once(kind: str, tmp_path: Path) -> None:
    assert run(kind, 1 if kind == "engine" else 2, seed=1, folder=tmp_path).falls == []


@MOUNTING
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["disk-full", "short-disk", "read-only"])
def test_disks_that_are_full_or_read_only(kind: str, tmp_path: Path) -> None:
    assert run(kind, 3 if kind == "short-disk" else 1, seed=1, folder=tmp_path).falls == []
