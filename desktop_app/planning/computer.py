"""This computer as the planner sees it, now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
from desktop_app.paths import loads_file, speed_file
from desktop_app.planning.calibration import Loads
from desktop_app.planning.configuration import Accelerator, Computer
from desktop_app.planning.speed import known_speed, read_speed
from desktop_app.system.hardware import Hardware, probe

_ENGINE_SECONDS = 60


def hardware_now(engine: Engine) -> Hardware:
    """Ask the system and, in the engine process, ggml."""
    return probe(engine.submit(Devices()).result(_ENGINE_SECONDS))


def computer_now(engine: Engine, *, freed: Mapping[str, int] | None = None, with_speed: bool = True) -> Computer:
    """Ask the system and the engine.

    Args:
        engine: asked for ggml's devices.
        freed: bytes that unloading the current model gives back, by device ("RAM" for main memory).
        with_speed: measure the reading speed if it was never measured here, which takes two seconds.
    """
    computer = as_computer(hardware_now(engine))
    speed = read_speed(engine, speed_file()) if with_speed else known_speed(speed_file())
    given_back = freed or {}
    links = engine.links
    return replace(
        computer,
        free_bytes=computer.free_bytes + given_back.get("RAM", 0),
        accelerators=tuple(
            replace(gpu, free_bytes=gpu.free_bytes + given_back.get(gpu.name, 0), link=links.get(gpu.name))
            for gpu in computer.accelerators
        ),
        speed=speed,
        threads=(speed.threads if speed else 0) or computer.threads,
        corrections=Loads(loads_file()).corrections(),
    )


def as_computer(hardware: Hardware) -> Computer:
    """Return what matters to a plan, without speeds and lessons."""
    return Computer(
        free_bytes=hardware.available_memory,
        total_bytes=hardware.total_memory,
        process_bytes=hardware.engine_bytes,
        repacked=frozenset(hardware.repacked),
        threads=hardware.threads,
        lockable_bytes=hardware.lockable_memory,
        accelerators=tuple(
            Accelerator(
                device.name,
                device.free_bytes,
                device.total_bytes,
                unified_memory=device.unified_memory,
                pinned_host_memory=device.pinned_host_memory,
                mmap_support=device.mmap_support,
            )
            for device in hardware.devices
            if device.takes_layers
        ),
    )
