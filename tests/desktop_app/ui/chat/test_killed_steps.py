"""kill -9 of the whole window in the middle of each step, then another start: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from desktop_app.assistant.sandbox.trial import is_enforced
from tests.support.killed_steps import ANSWER, POINTS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_enforced(), reason="this kernel has no Landlock")]
CUT = {"tool": 2, "changed": 4}
"""Which message of the branch was cut off: whether it did anything is not known, and it is not made again."""


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_lost_and_nothing_is_done_twice(point: str, data_home: Path) -> None:
    with begin(point) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == f"at {point}\n"
        children = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    assert psutil.wait_procs(children, 20)[1] == []

    with begin("end") as second:
        said, _ = second.communicate(timeout=200)
    found = json.loads(said)
    offers = {"call": ["Answer again"], "answer": ["Continue this reply", "Answer again"]}
    offers["result"] = ["Go on", "Answer again"]  # the next reply may have begun before the kill comes
    assert found["offered"][0] in offers.get(point, ["Go on"])
    branch = found["branch"]
    assert [role for role, *_ in branch] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [state for _, state, *_ in branch] == ["interrupted" if at == CUT.get(point) else "done" for at in range(6)]
    assert [tool for *_, tool in branch if tool] == ["python", "echo"]
    assert branch[-1][2].strip() == ANSWER.strip()
    (runs,) = (data_home / "work").glob("*/runs")
    assert runs.read_text() == "run\n"
    assert (data_home / "changes").read_text() == "changed\n"


def begin(point: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed_steps", point], stdout=subprocess.PIPE, text=True
    )
