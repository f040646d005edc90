"""The process that makes vectors: it lets others go first, and still gets on."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from desktop_app.processes.priority import give_way


@pytest.mark.skipif(os.name == "nt", reason="priorities are classes there")
def test_indexing_gives_way_and_does_not_stand_still() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid)
        priority = psutil.Process(process.pid).nice()
        process.kill()
    assert psutil.Process().nice() < priority <= 10, "at 19 a busy computer leaves it one part in seventy"
