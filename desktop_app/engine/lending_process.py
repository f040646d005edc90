"""The process that computes for one connection of another computer: what that sends can end it and nothing else."""

from __future__ import annotations

import sys

from desktop_app.engine.backends import offload_devices, prepare_environment
from desktop_app.engine.graph.devices import cpu_device
from desktop_app.engine.parts.loading import load_base, load_parts
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.rpc import lend
from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import private_stdout
from desktop_app.system.threads import usual_threads


def main(link: int) -> int:
    """Read a port and a number of threads from standard input; answer there, on this computer's own address."""
    end_with_parent(link, grace=False)
    private_stdout()
    prepare_environment()
    load_base()
    store = part_store()
    load_parts(store)
    port, threads = map(int, sys.stdin.readline().split())
    lend(store, f"127.0.0.1:{port}", threads or usual_threads(), offload_devices() or [cpu_device()])
    return 1
