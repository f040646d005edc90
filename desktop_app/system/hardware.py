"""What this computer has: processor, memory and the devices that ggml can compute on."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
from desktop_app.paths import data_folder
from desktop_app.system import processor
from desktop_app.system.graphics_cards import UnusedCard, unused_cards
from desktop_app.system.memory_limits import lockable_memory, main_memory
from desktop_app.system.threads import usual_threads

_ENGINE_SECONDS = 60
_SHARING = ("Metal", "MTL")
"""Backends whose GPUs have no memory of their own, besides those that ggml lists as integrated."""
_IN_SOFTWARE = ("llvmpipe", "SwiftShader")
"""Drivers that compute on the processor; ggml lists them as GPUs where GGML_VK_VISIBLE_DEVICES names them."""


@dataclass(frozen=True)
class Device:
    """A device as ggml lists it."""

    name: str
    description: str
    type: str
    """cpu, gpu, igpu, accelerator."""
    total_bytes: int
    free_bytes: int
    takes_layers: bool
    """The engine can put layers on it; see `engine.backends.offload_devices`."""
    lends_memory: bool = False
    """The processor's layers lie, as they are in the file, in main memory that it reads too."""
    maps_files: bool = True
    """Layers are loaded on it from a mapped file; otherwise the file is read."""

    @property
    def in_software(self) -> bool:
        """Tell whether it is no GPU but a driver that computes on the processor."""
        return any(name in self.description for name in _IN_SOFTWARE)

    @property
    def shares_memory(self) -> bool:
        """Tell whether its memory is main memory."""
        return self.type == "igpu" or self.in_software or self.name.startswith(_SHARING)


@dataclass(frozen=True)
class Hardware:
    """The facts that decide what can run here."""

    processor: str
    physical_cores: int
    logical_cores: int
    performance_cores: int
    """Fast cores of a processor with several kinds; 0: all are alike."""
    threads: int
    """That the engine computes with, if nobody says otherwise."""
    caches: dict[str, int]
    """Bytes by level."""
    instructions: tuple[str, ...]
    """What ggml uses of the processor."""
    total_memory: int
    """Bytes of RAM, or the tightest limit on this process."""
    available_memory: int
    """Bytes that can be taken without swapping."""
    lockable_memory: int
    """Bytes that a process may keep from being swapped out."""
    swap_bytes: int
    free_disk: int
    """Bytes, where Zhiyin keeps its files."""
    devices: tuple[Device, ...]
    unused_cards: tuple[UnusedCard, ...]
    """Graphics cards that ggml does not compute on, with the reason."""
    engine_bytes: int
    """What an engine process takes before it loads a model."""
    rearranged: tuple[str, ...]
    """Types of weights that ggml rearranges for the processor."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def probe(engine: Engine) -> Hardware:
    """Ask the system and, in the engine process, ggml."""
    found = engine.submit(Devices()).result(_ENGINE_SECONDS)
    devices = tuple(Device(**device) for device in found["devices"])
    memory = main_memory()
    return Hardware(
        processor=processor.name(),
        physical_cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        logical_cores=psutil.cpu_count() or 1,
        performance_cores=processor.performance_cores(),
        threads=usual_threads(),
        caches=processor.caches(),
        instructions=processor.instruction_sets(found["system_info"]),
        total_memory=memory.total,
        available_memory=memory.available,
        lockable_memory=lockable_memory(),
        swap_bytes=psutil.swap_memory().total,
        free_disk=shutil.disk_usage(data_folder()).free,
        devices=devices,
        unused_cards=unused_cards([d.description for d in devices if "gpu" in d.type], found["backends"]),
        engine_bytes=found["resident_bytes"],
        rearranged=tuple(found["rearranged"]),
    )
