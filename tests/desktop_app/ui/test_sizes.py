"""The window and every dialog stay on the screen, whatever they show; no button ever leaves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCREENS = ((1024, 640), (1366, 768), (3840, 2160))
"""Pixels of the device, at each of these factors; the largest one at twice as much, as such screens are used."""
FACTORS = (1.25, 1.5)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("screen", SCREENS)
def test_everything_stays_on_the_screen(screen: tuple[int, int], factor: float, tmp_path: Path) -> None:
    width, height = screen
    shape = {"name": "one", "x": 0, "y": 0, "width": width, "height": height}
    config = tmp_path / "screens.json"
    config.write_text(json.dumps({"windowFrameMargins": True, "screens": [shape]}), "utf-8")
    environment = os.environ | {
        "QT_QPA_PLATFORM": f"offscreen:configfile={config}",
        "QT_SCALE_FACTOR": str(factor * 2 if width > 3000 else factor),
        "ZHIYIN_HOME": str(tmp_path / "home"),
    }
    language = "zh_CN" if factor == FACTORS[0] else "en"
    command = [sys.executable, "-m", "tests.support.show_dialogs", language, str(tmp_path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert len(found) > 8
    assert {name: faults for name, faults in found.items() if faults} == {}
