"""Hardware of this computer: processor, memory and the devices that ggml can compute on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from desktop_app.paths import data_folder, free_space
from desktop_app.system import processor
from desktop_app.system.devices import ComputeFacts, Device, EnginePart
from desktop_app.system.graphics_cards import UnusedCard, unused_cards
from desktop_app.system.memory_limits import lockable_memory, main_memory
from desktop_app.system.threads import usual_threads


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
    parts: tuple[EnginePart, ...]
    """Engine parts, with the reason where one cannot be used."""
    unused_cards: tuple[UnusedCard, ...]
    """Graphics cards that ggml does not compute on, with the reason."""
    engine_bytes: int
    """What an engine process takes before it loads a model."""
    repacked: tuple[str, ...]
    """Types of weights that ggml repacks for the processor."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        cards = [{"name": card.name, "reason": str(card.reason)} for card in self.unused_cards]
        return asdict(replace(self, unused_cards=())) | {"unused_cards": cards}


def probe(compute: ComputeFacts) -> Hardware:
    """Ask the system; `compute` is what the engine process says of ggml."""
    import psutil

    memory = main_memory()
    return Hardware(
        processor=processor.name(),
        physical_cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        logical_cores=psutil.cpu_count() or 1,
        performance_cores=processor.performance_cores(),
        threads=usual_threads(),
        caches=processor.caches(),
        instructions=processor.instruction_sets(compute.system_info),
        total_memory=memory.total,
        available_memory=memory.available,
        lockable_memory=lockable_memory(),
        swap_bytes=psutil.swap_memory().total,
        free_disk=free_space(data_folder()),
        devices=compute.devices,
        parts=compute.parts,
        unused_cards=unused_cards([d.description for d in compute.devices if "gpu" in d.type], compute.backends),
        engine_bytes=compute.resident_bytes,
        repacked=compute.repacked,
    )
