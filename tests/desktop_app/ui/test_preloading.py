"""What is imported after the first paint, so that no click waits for it."""

from __future__ import annotations

import subprocess
import sys

from tests.test_architecture import ROOT, imports_of
from tests.test_start import own_modules

LOADED = "import sys; from desktop_app.ui.preloading import preload; preload(); print(*sys.modules)"
WITH_NUMPY = {"converter.checkpoint.lora", "desktop_app.library.measuring"}
"""Only merging an adapter and measuring a model need them."""


def test_no_part_of_the_window_is_left_to_import() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    wanted: set[str] = set()
    for module, path in own_modules().items():
        if module.startswith("desktop_app.ui"):
            names = {name if name in own_modules() else name.rpartition(".")[0] for name in imports_of(path)}
            wanted |= {module} | (names & own_modules().keys())
    assert wanted - loaded == WITH_NUMPY
    assert loaded & {"numpy", "gguf", "ml_dtypes"} == set(), "tools of the processes that compute and convert"
