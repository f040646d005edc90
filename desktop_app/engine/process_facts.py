"""Facts of the engine process: memory, devices, parts."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desktop_app.engine.backends import backends, devices
from desktop_app.engine.results import ProcessStats
from desktop_app.system.devices import ComputeFacts, EnginePart


def process_stats(largest_batch: int) -> ProcessStats:
    """Return what this process holds now; `largest_batch`: tokens that it decoded at once, at most."""
    import llama_cpp.llama_cpp  # noqa: F401 - every model needs it: what the process holds before its first one has it
    import psutil

    memory = psutil.Process().memory_info()
    return ProcessStats(
        resident_bytes=memory.rss,
        private_bytes=memory.rss - max(0, getattr(memory, "shared", 0) - _locked_bytes()),
        peak_bytes=_peak_bytes(memory),
        largest_batch=largest_batch,
        devices=devices(),
    )


def compute_facts(parts: Sequence[EnginePart]) -> ComputeFacts:
    """Return the devices and backends of this process; `parts`: what became of the engine parts."""
    import llama_cpp.llama_cpp as llama
    import psutil

    from desktop_app.engine.graph.repacking import repacked_types

    return ComputeFacts(
        devices=devices(),
        backends=tuple(backends()),
        system_info=(llama.llama_print_system_info() or b"").decode("utf-8", "replace").strip(),
        resident_bytes=psutil.Process().memory_info().rss,
        repacked=tuple(repacked_types()),
        parts=tuple(parts),
    )


def _locked_bytes() -> int:
    """Return what of this process the system may not drop or swap out (Linux; elsewhere nobody asks)."""
    with contextlib.suppress(OSError):
        match = re.search(r"^VmLck:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii", "replace"), re.MULTILINE)
        return int(match[1]) * 1024 if match else 0
    return 0


def _peak_bytes(memory: Any) -> int:
    """Return the most that this process ever held in memory; `memory` is what psutil tells of it now."""
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
