"""What Zhiyin takes while nobody uses it (Linux): python -m tests.benchmarks.bench_idle [--seconds 60].

Opens the window with a model loaded, waits until it has settled, and prints for its process and each that it started the share of
a processor core and how often a second one of its threads woke up.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from desktop_app.paths import settings_file
from desktop_app.settings import Settings, save_settings

_WINDOW = """
from PySide6.QtCore import QTimer
from desktop_app.ui import app
def follow(application, window, instance):
    plain(application, window, instance)
    def look():
        if window.services.models.state.kind == "ready":
            timer.stop()
            print("ready", flush=True)
    timer = window.looking = QTimer(window, interval=50)
    timer.timeout.connect(look)
    timer.start()
plain, app._follow_paint = app._follow_paint, follow
raise SystemExit(app.run([]))
"""
_SETTLING = 15
"""Seconds for what follows a start: imports, the list of models, a first title."""
_MOST = 0.002
"""Of one core, all processes together."""


class Taken(NamedTuple):
    """What a process took until now."""

    seconds: float
    """Of processors."""
    wakes: int
    """Threads that waited and went on."""


def main() -> int:
    """Print the table; return 1 where it is more than promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ |= {"ZHIYIN_HOME": folder, "QT_QPA_PLATFORM": "offscreen"}
        save_settings(Settings(language="en", welcomed=True), settings_file())
        with subprocess.Popen([sys.executable, "-c", _WINDOW], stdout=subprocess.PIPE, text=True) as window:
            assert window.stdout is not None
            window.stdout.readline()
            time.sleep(_SETTLING)
            share = measured(window.pid, seconds)
            window.terminate()
    print(f"together {share:.3%} of a core (at most {_MOST:.1%})")
    return 0 if share < _MOST else 1


def measured(window: int, seconds: float) -> float:
    """Print what each process takes in some seconds; return the share of a core of all."""
    processes = [psutil.Process(window), *psutil.Process(window).children(recursive=True)]
    before = taken(processes)
    time.sleep(seconds)
    after = taken(processes)
    total = 0.0
    for process in processes:
        one, other = before[process.pid], after[process.pid]
        name = next((word for word in process.cmdline() if word.startswith("--")), "the window")
        share = (other.seconds - one.seconds) / seconds
        print(f"{name}: {share:.3%} of a core, {(other.wakes - one.wakes) / seconds:.2f} wake-ups a second")
        total += share
    return total


def taken(processes: Iterable[psutil.Process]) -> dict[int, Taken]:
    """Return what each process took until now, to the nanosecond."""
    found = {}
    for process in processes:
        tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
        spent = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        wakes = sum(
            int(line.split()[1])
            for task in tasks
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )
        found[process.pid] = Taken(spent / 1e9, wakes)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
