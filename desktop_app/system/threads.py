"""The engine's number of threads."""

from __future__ import annotations

import os
from functools import cache

from desktop_app.system import control_groups
from desktop_app.system.processor import fast_cores


def usual_threads() -> int:
    """Return the threads that compute fastest on most computers: the first of `thread_counts`."""
    return thread_counts()[0]


@cache
def thread_counts() -> tuple[int, ...]:
    """Return the numbers of threads that may be the fastest: one for each fast core, and with slow ones, for each core.

    Threads meet after every matrix product, so slow cores hold the fast ones up, unless they are many beside few. Hyper-threads
    share a core's arithmetic units, and one thread more than a container's share of processor time waits for the others' time
    slices.
    """
    import psutil

    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = psutil.cpu_count(logical=False) or len(allowed)
    most = max(1, min(len(allowed), _share_of_processors() or len(allowed)))
    return tuple(sorted({min(count, most) for count in (fast_cores(allowed) or cores, cores)}))


def _share_of_processors() -> int:
    """Return how many processors' time the control groups leave to this process; 0: there is no limit."""
    shares = []
    for version, folder in control_groups.folders("cpu"):
        try:
            if version == 1:
                quota, period = (
                    (folder / name).read_text("ascii") for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                )
            else:
                quota, period = (folder / "cpu.max").read_text("ascii").split()
            if int(quota) > 0:
                shares.append(max(1, int(quota) // int(period)))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # "max", or not mounted here
    return min(shares, default=0)
