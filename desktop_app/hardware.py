"""What this computer has: processor, memory and the devices that ggml can compute on."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
from desktop_app.engine.threads import physical_cores

_ENGINE_SECONDS = 60


@dataclass(frozen=True)
class Device:
    """A device as ggml lists it."""

    name: str
    description: str
    type: str
    """cpu, gpu, igpu, accelerator."""
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Hardware:
    """The facts that decide what can run here."""

    processor: str
    physical_cores: int
    logical_cores: int
    total_memory: int
    """Bytes of RAM, or the container's limit."""
    available_memory: int
    """Bytes that can be taken without swapping."""
    swap_bytes: int
    devices: tuple[Device, ...]
    instructions: str
    """ggml's own list of what it was built with."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def probe(engine: Engine) -> Hardware:
    """Ask the system and, in the engine process, ggml."""
    found = engine.submit(Devices()).result(_ENGINE_SECONDS)
    memory = psutil.virtual_memory()
    limit, used = _container_memory()
    return Hardware(
        processor=_processor(),
        physical_cores=physical_cores(),
        logical_cores=psutil.cpu_count() or 1,
        total_memory=min(memory.total, limit),
        available_memory=max(0, min(memory.available, limit - used)),
        swap_bytes=psutil.swap_memory().total,
        devices=tuple(Device(**device) for device in found["devices"]),
        instructions=found["system_info"],
    )


def _container_memory() -> tuple[int, int]:
    """Return the control group's limit and use in bytes; without a limit, a very large one and 0."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            return int(Path(limit).read_text("ascii")), int(Path(used).read_text("ascii"))
        except (OSError, ValueError):
            continue
    return sys.maxsize, 0


def _processor() -> str:
    """Return the processor's name as its maker writes it."""
    system = platform.system()
    if system == "Linux":
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8", "replace"), re.MULTILINE)
        return match[1] if match else platform.machine()
    if system == "Darwin":
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        ).stdout.strip()
    return platform.processor() or platform.machine()
