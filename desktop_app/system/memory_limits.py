"""Memory limits of this process: free main memory, containers, resource limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from desktop_app.system import control_groups

_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    2: ("memory.max", "memory.current", ("inactive_file", "active_file")),
}
"""Version of the control groups -> limit, use, and the entries of memory.stat that are given back when memory is short: pages of
files. Those of a model that was used twice are active ones."""


@dataclass(frozen=True)
class MainMemory:
    """Bytes."""

    total: int
    """Of the computer, or the tightest limit on this process."""
    available: int
    """What can be taken without swapping."""


def main_memory() -> MainMemory:
    """Return what the system has, within every control group above this process and its resource limits."""
    import psutil

    system = psutil.virtual_memory()
    total, available = system.total, system.available
    for limit, used in (*_control_groups(), *_resource_limits()):
        total = min(total, limit)
        available = min(available, limit - used)
    return MainMemory(total, max(0, available))


def lockable_memory() -> int:
    """Return the bytes that this process may keep from being swapped out (`ulimit -l`; Windows has no such limit)."""
    import psutil

    if sys.platform == "win32":
        return psutil.virtual_memory().total
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return psutil.virtual_memory().total if limit == resource.RLIM_INFINITY else limit


def _control_groups() -> Iterator[tuple[int, int]]:
    """Yield limit and use in bytes of each group that holds this process."""
    for version, folder in control_groups.folders("memory"):
        limit, used, reclaimable = _FILES[version]
        try:
            most = int((folder / limit).read_text("ascii"))
            current = int((folder / used).read_text("ascii"))
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue  # "max", or not mounted here
        yield most, max(0, current - sum(int(statistics.get(name, 0)) for name in reclaimable))


def _resource_limits() -> Iterator[tuple[int, int]]:
    """Yield the limit on address space (`ulimit -v`) and what this process has taken of it."""
    import psutil

    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit, psutil.Process().memory_info().vms
