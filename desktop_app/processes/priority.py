"""The priority of our processes: work in the background gives way."""

from __future__ import annotations

import contextlib
import os


def give_way(pid: int) -> None:
    """Lower a process's priority, all its threads included: below what a user waits for, not to a standstill."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if os.name == "nt":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)  # type: ignore[attr-defined]
            return
        for thread in process.threads():
            psutil.Process(thread.id).nice(10)
