"""How many threads the engine computes with."""

from __future__ import annotations

import os
from functools import cache

import psutil

from desktop_app import control_groups
from desktop_app.processor import fast_cores


@cache
def usual_threads() -> int:
    """Return the threads that compute fastest: one for each fast core that this process may use.

    Threads meet after every matrix product, so slow cores hold the fast ones up, hyper-threads share a core's arithmetic units,
    and one thread more than a container's share of processor time waits for the others' time slices.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = fast_cores(allowed) or psutil.cpu_count(logical=False) or len(allowed)
    return max(1, min(cores, len(allowed), _share_of_processors() or len(allowed)))


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
