"""`zhiyin hardware`: processor, memory and every device that ggml lists."""

from __future__ import annotations

import argparse
from dataclasses import replace

from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import human_bytes, print_json, print_table
from desktop_app.engine.client import Engine
from desktop_app.paths import speed_file
from desktop_app.planning.computer import hardware_now
from desktop_app.planning.speed import read_speed
from desktop_app.system.devices import Device, EnginePart
from desktop_app.system.hardware import Hardware
from desktop_app.system.read_speed import ReadSpeed
from models.errors import error_from_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what this computer has."""
    with Engine() as engine:
        hardware = hardware_now(engine)
        speed = read_speed(engine, speed_file())
    hardware = replace(hardware, threads=speed.threads or hardware.threads)
    if arguments.json:
        print_json(hardware.as_json() | {"bytes_per_second": speed.by_type})
        return 0
    rows = [
        ("processor", hardware.processor),
        ("cores", _cores(hardware)),
        ("caches", ", ".join(f"{level} {human_bytes(size)}" for level, size in hardware.caches.items()) or "not known"),
        ("instructions", " ".join(hardware.instructions)),
        ("memory", f"{human_bytes(hardware.total_memory)}, {human_bytes(hardware.available_memory)} available"),
        ("swap", human_bytes(hardware.swap_bytes)),
        ("disk", f"{human_bytes(hardware.free_disk)} free for Zhiyin's files"),
        ("reads weights at", _speed(speed)),
    ]
    rows += [(device.name, device_words(device)) for device in hardware.devices]
    rows += [(part.part, part_words(part)) for part in hardware.parts if part.state == "failed"]
    rows += [(card.name, f"not used: {card.reason}") for card in hardware.unused_cards]
    print_table(rows)
    return 0


def device_words(device: Device) -> str:
    """Return what a device is, a GPU's memory, and why a GPU is not used."""
    words = {"cpu": "processor", "gpu": "GPU", "igpu": "integrated GPU", "accelerator": "helps the processor"}
    kind = (
        "no GPU: a driver that computes on the processor" if device.in_software else words.get(device.type, device.type)
    )
    if device.unified_memory:
        kind += ", shares main memory"
    sentence = f"{device.description} ({kind})"
    if device.type not in ("gpu", "igpu"):
        return sentence
    sentence += f", {human_bytes(device.free_bytes)} of {human_bytes(device.total_bytes)} free"
    if device.takes_layers:
        return sentence
    reason = (
        "it is here twice" if device.type == "gpu" else "there is a GPU with memory of its own, or it is here twice"
    )
    return f"{sentence}; not used: {reason}"


def part_words(part: EnginePart) -> str:
    """Return what became of an engine part."""
    return f"engine part, {part.state}" + (f": {error_from_data(part.failure)}" if part.failure else "")


def _cores(hardware: Hardware) -> str:
    fast = f" ({hardware.performance_cores} of them fast)" if hardware.performance_cores else ""
    return f"{hardware.physical_cores} physical{fast}, {hardware.logical_cores} logical; the engine uses {hardware.threads}"


def _speed(speed: ReadSpeed) -> str:
    speeds = ", ".join(f"{human_bytes(speed.of(name))}/s {name}" for name in ("F16", "Q8_0", "Q4_K"))
    return f"{speeds} (or faster: other programs were busy)" if speed.disturbed else speeds
