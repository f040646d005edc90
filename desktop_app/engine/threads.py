"""How many threads the engine computes with."""

from __future__ import annotations

import os

import psutil


def physical_cores() -> int:
    """Return the physical cores this process may use: hyper-threads slow matrix products down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))
