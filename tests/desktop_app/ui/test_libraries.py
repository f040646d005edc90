"""Which libraries are loaded into the window's process: none of ggml's, whatever is done in the window."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.desktop_app.ui.models.test_conversions import checkpoint

GGML = re.compile(r"lib(ggml|llama)")
ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_ggml_is_never_in_the_windows_process(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.use_window", str(checkpoint(tmp_path / "Tea-Chat"))],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout)
    assert [name for name in loaded["window"] if GGML.match(name)] == []
    assert {"libllama", "libggml"} <= {name.partition(".")[0] for name in loaded["engine"]}, "such a name would be seen"
