"""kill -9 in the middle of each step of an assistant's work, then another start: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from desktop_app.assistant.sandbox.trial import is_enforced
from tests.support.killed_assistant import POINTS

pytestmark = pytest.mark.skipif(not is_enforced(), reason="this kernel has no Landlock")


@pytest.mark.parametrize(
    "point", [name if name == "tool" else pytest.param(name, marks=pytest.mark.slow) for name in POINTS]
)
def test_nothing_is_lost_and_nothing_is_done_twice(point: str, tmp_path: Path, tiny_model: Path) -> None:
    first = begin(tmp_path, tiny_model, point)
    assert first.stdout is not None
    assert first.stdout.readline().strip() == f"at {point}"
    children = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.wait()
    first.stdout.close()
    assert psutil.wait_procs(children, 20)[1] == []

    second = begin(tmp_path, tiny_model, "end")
    said, _ = second.communicate(timeout=120)
    branch = json.loads(said)
    assert [role for role, *_ in branch] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [facts["tool"] for role, _, _, facts in branch if role == "tool"] == ["python", "change"]
    assert branch[-1][1:3] == ["done", "Done."]
    cut = {"tool": 2, "changed": 4}.get(point)
    assert [state for _, state, *_ in branch] == ["interrupted" if at == cut else "done" for at in range(6)]
    assert (tmp_path / "work" / "runs").read_text() == "run\n"
    assert (tmp_path / "changes").read_text() == "changed\n"


def begin(folder: Path, model: Path, point: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed_assistant", str(folder / "chats.sqlite3"), str(model), point],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ZHIYIN_HOME": str(folder)},
    )
