"""How many threads the engine computes with."""

from __future__ import annotations

import os
from functools import cache

import psutil

from desktop_app import control_groups
from desktop_app.processor import performance_cores


@cache
def usual_threads() -> int:
    """Return the threads that compute fastest: one for each fast core that this process may use.

    Threads meet after every matrix product, so slow cores hold the fast ones up, hyper-threads share a core's arithmetic units,
    and one thread more than a container's share of processor time waits for the others' time slices.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = performance_cores() or psutil.cpu_count(logical=False) or allowed
    return max(1, min(cores, allowed, _share_of_processors() or allowed))


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
