"""The devices that ggml lists, and which ggml is asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_LOAD_AND_LIST = """
from desktop_app.engine.backends import devices
import llama_cpp.llama_cpp
assert any(device["type"] == "cpu" for device in devices())
print(open("/proc/self/maps").read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's map of files")
@pytest.mark.parametrize("code", [_LOAD_AND_LIST, _LOAD_AND_LIST.replace("import llama_cpp.llama_cpp\n", "")])
def test_the_devices_are_asked_of_the_ggml_that_libllama_uses(code: str) -> None:
    """The wheel has a copy of libggml under each of its names; two of them in one process would be two sets of devices."""
    maps = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(re.findall(r"/\S*/libggml\S*", maps))
    names = [re.sub(r"\.so.*", "", Path(path).name) for path in loaded]
    assert sorted(names) == ["libggml", "libggml-base", "libggml-cpu"]
