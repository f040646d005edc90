"""Work in a process of its own: its events, its failures, its end and its death."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from desktop_app.paths import log_file
from desktop_app.processes.worker import Tell, Unexpected, WorkerDied, in_process
from models.errors import Cancelled, ZhiyinError

ROOT = Path(__file__).parents[3]
WINDOW = """
import sys, threading
from functools import partial
from pathlib import Path
from desktop_app.processes.worker import in_process
from tests.desktop_app.processes.test_worker import wait_to_be_stopped
in_process(partial(wait_to_be_stopped, Path(sys.argv[1])), lambda event: print(event, flush=True), threading.Event())
"""


def count(to: int, tell: Tell, cancelled: Callable[[], bool]) -> int:
    for number in range(to):
        tell((number, os.getpid()))
    return to


def wait_to_be_stopped(note: Path, tell: Tell, cancelled: Callable[[], bool]) -> None:
    tell("begun")
    while not cancelled():
        time.sleep(0.01)
    note.write_text("in order")
    raise Cancelled("Stopped.")


def fail(error: Exception, tell: Tell, cancelled: Callable[[], bool]) -> None:
    raise error


def die(tell: Tell, cancelled: Callable[[], bool]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_events_come_in_order_from_another_process() -> None:
    events: list[tuple[int, int]] = []
    assert in_process(partial(count, 100), events.append, threading.Event()) == 100
    assert [number for number, _ in events] == list(range(100))
    assert {pid for _, pid in events} != {os.getpid()}


def test_work_that_is_stopped_puts_things_in_order(tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(Cancelled):
        in_process(partial(wait_to_be_stopped, tmp_path / "note"), lambda _: stop.set(), stop)
    assert (tmp_path / "note").read_text() == "in order"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZhiyinError("The shard is cut; download it again."), "^The shard is cut; download it again.$"),
        (MemoryError(), "too little free memory"),
        (OSError(28, "No space left on device"), r"^The disk is full \(No space left on device\); free some room"),
        (OSError(13, "Permission denied", "/a/b"), "^/a/b cannot be read or written: Permission denied.$"),
        (KeyError("x"), "fault in Zhiyin itself; try again, .*worker.log"),
    ],
)
def test_failures_come_as_one_sentence(error: Exception, sentence: str) -> None:
    with pytest.raises(ZhiyinError, match=sentence):
        in_process(partial(fail, error), lambda _: None, threading.Event())


def test_a_fault_of_our_own_keeps_its_traceback_apart_and_in_the_log() -> None:
    with pytest.raises(Unexpected) as caught:
        in_process(partial(fail, KeyError("x")), lambda _: None, threading.Event())
    assert "KeyError" not in str(caught.value)
    assert caught.value.details.endswith("raise error\nKeyError: 'x'\n")
    assert caught.value.details in log_file("worker").read_text("utf-8")


def crash(tell: Tell, cancelled: Callable[[], bool]) -> None:
    ctypes.string_at(0)


def test_the_log_has_the_last_words_of_a_process_that_crashed() -> None:
    with pytest.raises(WorkerDied, match=r"ended by itself .*worker\.log"):
        in_process(crash, lambda _: None, threading.Event())
    assert "in crash" in log_file("worker").read_text("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_that_is_killed_is_noticed() -> None:
    with pytest.raises(WorkerDied, match="ended by the system, most likely because memory ran out"):
        in_process(die, lambda _: None, threading.Event())


def test_work_puts_things_in_order_when_the_window_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WINDOW, str(tmp_path / "note")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as window:
        assert window.stdout is not None
        assert window.stdout.readline() == "begun\n"
        window.kill()
    end = time.monotonic() + 60
    while not (tmp_path / "note").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert (tmp_path / "note").exists()
