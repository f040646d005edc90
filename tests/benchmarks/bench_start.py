"""How long the window takes to be there and to be gone: python -m tests.benchmarks.bench_start [--runs 10].

Starts an empty PySide6 window and the application in turn and prints the medians of what their first paint took, from the
process's beginning, as processor time and on the clock, and the ratio of both. Then, with a model loaded, how long the window's
process lives after it was closed, and how long its engine does. Bytecode is cached, as it is where the application is installed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from desktop_app.paths import settings_file
from desktop_app.settings import Settings, save_settings

_SAY = """
import os, sys, time
def say(what):
    print(what, time.process_time(), time.monotonic(), flush=True)
"""
_EMPTY = f"""{_SAY}
from PySide6.QtWidgets import QApplication, QMainWindow
class Window(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        say("painted")
        os._exit(0)
application = QApplication([])
window = Window()
window.show()
application.exec()
"""
_OURS = f"""{_SAY}
def watch():
    from desktop_app.ui.window import MainWindow
    painting = MainWindow.paintEvent
    def paint(window, event):
        painting(window, event)
        if not window.isHidden() and not hasattr(window, "said"):
            window.said = True
            say("painted")
            STEP
    MainWindow.paintEvent = paint
from desktop_app.ui import plain_imports
use = plain_imports.use_plain_imports
def then():
    use()
    watch()
plain_imports.use_plain_imports = then
sys.argv = ["zhiyin"]
import runpy
runpy.run_module("desktop_app.cli", run_name="__main__", alter_sys=True)
"""
"""The command, which says when its window is painted first; `STEP` follows that."""
_LEAVE = "os._exit(0)"
_CLOSE = """
            from PySide6.QtCore import QTimer
            def look():
                if window.services.models.state.kind != "ready":
                    return
                window.timer.stop()
                print("engine", window.services.engine.pid, 0, flush=True)
                QTimer.singleShot(500, lambda: (say("closing"), window.close()))
            window.timer = QTimer(window, interval=50)
            window.timer.timeout.connect(look)
            window.timer.start()
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"ZHIYIN_HOME": folder, "QT_QPA_PLATFORM": "offscreen"}
        environment["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))
        os.environ["ZHIYIN_HOME"] = folder
        save_settings(Settings(language="en", welcomed=True), settings_file())
        measure_paint(environment, runs)
        measure_close(environment, max(runs // 2, 3))


def measure_paint(environment: Mapping[str, str], runs: int) -> None:
    codes = {"an empty PySide6 window": _EMPTY, "Zhiyin": _OURS.replace("STEP", _LEAVE)}
    for code in codes.values():
        first_paint(code, environment)  # caches the bytecode
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for _ in range(runs):
        for name, code in codes.items():
            taken[name].append(first_paint(code, environment))
    medians = {name: [statistics.median(run[i] for run in all_) for i in (0, 1)] for name, all_ in taken.items()}
    for name, (work, clock) in medians.items():
        print(f"first paint of {name}: {work:.3f} s of processor, {clock:.3f} s on the clock")
    empty, ours = medians.values()
    print(f"ratio: {ours[0] / empty[0]:.2f} of processor, {ours[1] / empty[1]:.2f} on the clock (at most 2.5)")


def first_paint(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Return the processor time and the time on the clock until a window's first paint."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    said = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    return float(said["painted"][0]), float(said["painted"][1]) - begun


def measure_close(environment: Mapping[str, str], runs: int) -> None:
    window, engine = zip(*(closing(environment) for _ in range(runs)), strict=True)
    print(
        f"after it was closed with a model loaded the window's process lived {statistics.median(window):.3f} s (at most 0.1)"
    )
    print(f"and its engine {statistics.median(engine):.3f} s")


def closing(environment: Mapping[str, str]) -> tuple[float, float]:
    """Return how long the window's process and its engine lived after the window was closed."""
    command = [sys.executable, "-c", _OURS.replace("STEP", _CLOSE)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = {}
        while "closing" not in said:
            what, *numbers = process.stdout.readline().split()
            said[what] = numbers
        process.wait(60)
        ended = time.monotonic()
        while is_alive(int(said["engine"][0])):
            time.sleep(0.005)
        return ended - float(said["closing"][1]), time.monotonic() - float(said["closing"][1])


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that ended and is not waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
