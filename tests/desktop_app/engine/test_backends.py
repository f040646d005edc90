"""The devices that ggml lists, and which ggml is asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from desktop_app.engine import backends
from desktop_app.engine.backends import devices_for, loads_from_maps, offload_devices
from desktop_app.engine.graph.devices import cpu_device
from desktop_app.engine.protocol import LoadSettings

ROOT = Path(__file__).parents[3]
_LOAD_AND_LIST = """
from desktop_app.engine.backends import devices
import llama_cpp.llama_cpp
assert any(device.type == "cpu" for device in devices())
print(open("/proc/self/maps").read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's map of files")
@pytest.mark.parametrize("code", [_LOAD_AND_LIST, _LOAD_AND_LIST.replace("import llama_cpp.llama_cpp\n", "")])
def test_the_devices_are_asked_of_the_ggml_that_libllama_uses(code: str) -> None:
    """The wheel has a copy of libggml under each of its names; two of them in one process would be two sets of devices."""
    maps = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    loaded = set(re.findall(r"/\S*/libggml\S*", maps))
    names = [re.sub(r"\.so.*", "", Path(path).name) for path in loaded]
    assert len(names) == len(set(names))
    assert {"libggml", "libggml-base", "libggml-cpu"} <= set(names)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's map of files")
def test_the_environment_is_prepared_before_the_libraries_are_loaded() -> None:
    """OpenMP reads it when it is loaded: later, the threads would spin for a hundred times as long."""
    code = "import desktop_app.engine.server; print(open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "libggml" not in done.stdout


GPU, INTEGRATED = 1, 2
Listed = tuple[int, bytes | None, str]
"""Kind, the card's id, the backend."""


@pytest.mark.parametrize(
    ("listed", "taken"),
    [
        ([(GPU, b"01:00", "CUDA"), (GPU, b"01:00", "Vulkan")], [0]),
        ([(GPU, b"01:00", "CUDA"), (GPU, b"02:00", "CUDA")], [0, 1]),
        ([(GPU, None, "Vulkan"), (GPU, None, "Vulkan")], [0, 1]),
        ([(INTEGRATED, b"00:02", "Vulkan"), (GPU, b"01:00", "Vulkan")], [1]),
        ([(INTEGRATED, b"00:02", "Vulkan")], [0]),
        ([(INTEGRATED, b"00:02", "SYCL"), (INTEGRATED, b"00:02", "Vulkan")], [0]),
        ([], []),
    ],
    ids=["one card twice", "two cards", "no ids", "both kinds", "integrated", "integrated twice", "none"],
)
def test_layers_go_to_the_gpus_that_llama_cpp_takes(
    listed: list[Listed], taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [*listed, (0, None, "CPU")]

    def properties(device: int) -> SimpleNamespace:
        return SimpleNamespace(type=everything[device][0], device_id=everything[device][1])

    monkeypatch.setattr(backends, "_all_devices", lambda: list(range(len(everything))))
    monkeypatch.setattr(backends, "_properties", properties)
    monkeypatch.setattr(backends, "_backend_of", lambda device: everything[device][2])
    assert offload_devices() == taken
    assert devices_for(LoadSettings(gpu_layers=0)) == []
    assert devices_for(LoadSettings()) == [(device, 0.0) for device in taken]
    split = LoadSettings(gpu_layers=9, tensor_split=(0.0, 9.0))
    assert devices_for(split) == [(device, 9.0) for device in taken[1:]]


def test_the_processor_maps_files() -> None:
    """Of its five capabilities the last; the two before it, pinned memory and events, it lacks (ggml-cpu.cpp)."""
    processor = cpu_device()
    assert list(backends._properties(processor).capabilities) == [False, False, True, False, True]
    assert loads_from_maps(processor)
