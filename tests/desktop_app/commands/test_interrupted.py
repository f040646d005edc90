"""Ctrl+C, `kill` and a closed terminal in the middle of a conversion: it ends in order, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from converter.atomic_write import is_unfinished
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.slow_cases import most_slow

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals as POSIX does")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, weights = random_llama(hidden_size=512, intermediate_size=4096, vocab_size=512, num_hidden_layers=6)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "tiny", config, weights)


def reading(process: psutil.Process, folder: Path) -> bool:
    return process.cpu_times().user > 0.1


def writing(process: psutil.Process, folder: Path) -> bool:
    return any(is_unfinished(path) for path in folder.iterdir())


def trying(process: psutil.Process, folder: Path) -> bool:
    return bool(process.children())


@pytest.mark.parametrize("number", most_slow({signal.SIGINT}, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
@pytest.mark.parametrize("phase", [reading, writing, trying])
def test_a_conversion_ends_in_order(
    phase: Callable[[psutil.Process, Path], bool], number: int, source: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "desktop_app.cli", "convert", str(source), "--quant", "Q4_K_M", "--tokenizer"]
    with subprocess.Popen(
        [*command, "none", "--out", str(tmp_path / "out.gguf")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        seen = psutil.Process(process.pid)
        while not phase(seen, tmp_path):
            assert process.poll() is None
            time.sleep(0.005)
        children = seen.children(recursive=True)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number)  # before its first line Python has not taken the signal over
    assert "Traceback" not in said or process.returncode == -number
    assert list(tmp_path.iterdir()) == []
    _, alive = psutil.wait_procs(children, 10)
    assert not alive


CALLBACK = """
import signal, sys, time, weakref
from desktop_app import cli

class Thing: pass

def dispatch(arguments):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    time.sleep(20)
    print("went on")
    return 0

cli._dispatch = dispatch
raise SystemExit(cli.main(["models"]))
"""


def test_an_interrupt_in_a_callback_is_not_lost() -> None:
    """Python's import system has such callbacks: it says "Exception ignored in" with a traceback, and goes on."""
    done = subprocess.run([sys.executable, "-c", CALLBACK], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    assert "went on" not in done.stdout
