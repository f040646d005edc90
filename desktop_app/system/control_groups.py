"""The control groups that this process runs in, as containers and services set their limits (Linux).

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def folders(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield each group's version (1 or 2) and folder for "memory" or "cpu": this process's own, then those above it.

    In a container the group itself is mounted as the root; folders that are not there must be passed over.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            version, root = 2, _ROOT
        elif controller in controllers.split(","):
            version, root = 1, _ROOT / controller
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            yield version, root.joinpath(*parts[:depth])
