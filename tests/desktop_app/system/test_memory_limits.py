"""What may be taken of the memory: free memory, and the limits of containers and of the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from desktop_app.system import control_groups
from desktop_app.system.memory_limits import MainMemory, main_memory

MB = 10**6
UNLIMITED_V1 = "9223372036854771712"
"""What the first version writes where there is no limit."""


@pytest.fixture(autouse=True)
def eight_gigabytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    system = SimpleNamespace(total=8000 * MB, available=5000 * MB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: system)
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter(()))
    yield


def group(folder: Path, version: int, limit: str, used: int, statistics: str) -> tuple[int, Path]:
    """A control group's files, as the kernel writes them."""
    folder.mkdir()
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}[version]
    for name, text in zip(names, (limit, str(used)), strict=True):
        (folder / name).write_text(text + "\n", "ascii")
    (folder / "memory.stat").write_text(statistics, "ascii")
    return version, folder


def test_without_limits_it_is_what_the_system_has_free() -> None:
    assert main_memory() == MainMemory(8000 * MB, 5000 * MB)


@pytest.mark.parametrize(("version", "prefix"), [(1, "total_"), (2, "")])
def test_pages_of_files_are_given_back(
    version: int, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a model that was loaded twice are active: it would be refused the third time."""
    statistics = f"anon 1\n{prefix}inactive_file {300 * MB}\n{prefix}active_file {900 * MB}\n"
    found = group(tmp_path / "own", version, str(2000 * MB), 1500 * MB, statistics)
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter([found]))
    assert main_memory() == MainMemory(2000 * MB, 1700 * MB)


def test_the_tightest_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [
        group(tmp_path / "own", 2, "max", 100 * MB, ""),
        group(tmp_path / "above", 2, str(3000 * MB), 2500 * MB, "anon 5\n"),
        group(tmp_path / "first", 1, UNLIMITED_V1, 100 * MB, ""),
        (2, tmp_path / "not mounted"),
    ]
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter(groups))
    assert main_memory() == MainMemory(3000 * MB, 500 * MB)


def test_nothing_is_free_in_a_group_that_is_over_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = group(tmp_path / "own", 2, str(1000 * MB), 1100 * MB, "")
    monkeypatch.setattr(control_groups, "folders", lambda controller: iter([found]))
    assert main_memory() == MainMemory(1000 * MB, 0)


def test_a_limit_on_address_space_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1000 * MB if which == resource.RLIMIT_AS else -1,) * 2)
    found = main_memory()
    assert found.total == 1000 * MB
    assert found.available < 1000 * MB
