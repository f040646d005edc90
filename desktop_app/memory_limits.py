"""How much main memory this process may take: what is free, and what containers and resource limits allow.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MainMemory:
    """Bytes."""

    total: int
    """Of the computer, or the tightest limit on this process."""
    available: int
    """What can be taken without swapping."""


def main_memory() -> MainMemory:
    """Return what the system has, within every control group above this process and its resource limits."""
    system = psutil.virtual_memory()
    total, available = system.total, system.available
    for limit, used in (*_control_groups(), *_resource_limits()):
        total = min(total, limit)
        available = min(available, limit - used)
    return MainMemory(total, max(0, available))


def _control_groups() -> Iterator[tuple[int, int]]:
    """Yield limit and use in bytes of each group that holds this process, version 2 and 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _walk(_CONTROL_GROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _walk(_CONTROL_GROUPS / "memory", path, *names)


def _walk(root: Path, path: str, limit: str, used: str, reclaimable: str) -> Iterator[tuple[int, int]]:
    """Yield from a group up to the root; in a container the group itself is mounted as the root."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        folder = root.joinpath(*parts[:depth])
        try:
            most = int((folder / limit).read_text("ascii"))
            current = int((folder / used).read_text("ascii"))
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue  # "max", or not mounted here
        yield most, max(0, current - int(statistics.get(reclaimable, 0)))


def _resource_limits() -> Iterator[tuple[int, int]]:
    """Yield the limit on address space (`ulimit -v`) and what this process has taken of it."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit, psutil.Process().memory_info().vms
