"""What is said of devices, and which of them have memory of their own."""

from __future__ import annotations

import pytest

from desktop_app.commands.hardware import device_words
from desktop_app.system.devices import Device

GB = 10**9


def device(name: str, description: str, kind: str, *, takes_layers: bool = True) -> Device:
    return Device(name, description, kind, 8 * GB, 6 * GB, takes_layers)


@pytest.mark.parametrize(
    ("found", "shares", "words"),
    [
        (device("CUDA0", "NVIDIA RTX 3060", "gpu"), False, "NVIDIA RTX 3060 (GPU), 6.0 GB of 8.0 GB free"),
        (
            device("Vulkan0", "Intel(R) Graphics", "igpu"),
            True,
            "Intel(R) Graphics (integrated GPU, shares main memory), 6.0 GB of 8.0 GB free",
        ),
        (device("MTL0", "Apple M2", "gpu"), True, "Apple M2 (GPU, shares main memory), 6.0 GB of 8.0 GB free"),
        (
            device("Vulkan0", "llvmpipe (LLVM 15.0.6, 256 bits)", "gpu"),
            True,
            "llvmpipe (LLVM 15.0.6, 256 bits) (no GPU: a driver that computes on the processor, shares main memory), "
            "6.0 GB of 8.0 GB free",
        ),
        (device("CPU", "Some processor", "cpu"), False, "Some processor (processor)"),
        (
            device("Vulkan1", "AMD Radeon Graphics", "igpu", takes_layers=False),
            True,
            "AMD Radeon Graphics (integrated GPU, shares main memory), 6.0 GB of 8.0 GB free; not used: there is a GPU with "
            "memory of its own, or it is here twice",
        ),
    ],
    ids=["own memory", "integrated", "Apple", "in software", "processor", "not used"],
)
def test_devices_are_told_apart(found: Device, shares: bool, words: str) -> None:
    assert (found.unified_memory, device_words(found)) == (shares, words)
