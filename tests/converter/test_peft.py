"""Adapters of every method and option of PEFT, as PEFT itself makes them now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks.compare_with_peft import compare

PYTHON = os.environ.get("ZHIYIN_REFERENCE_PYTHON", "")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="ZHIYIN_REFERENCE_PYTHON names no Python that has torch, transformers and peft")
def test_every_method_and_option_is_right_or_refused_by_name(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [PYTHON, "-W", "ignore", "-m", "tests.benchmarks.make_peft_adapters", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    counts = compare(tmp_path, [])
    verdicts = {verdict.partition(": ")[2] for verdict in counts}
    assert verdicts <= {"right", "as the forward pass", "refused by name"}
    assert counts["merged: right"] > 60
