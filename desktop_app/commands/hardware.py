"""`zhiyin hardware`: processor, memory and every device that ggml lists."""

from __future__ import annotations

import argparse

from desktop_app.bandwidth import read_speed
from desktop_app.commands.options import add_json
from desktop_app.engine.client import Engine
from desktop_app.hardware import Hardware, probe
from desktop_app.paths import speed_file
from desktop_app.terminal import human_bytes, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what this computer has."""
    with Engine() as engine:
        found = probe(engine)
    if arguments.json:
        print_json(found.as_json() | {"bytes_per_second": read_speed(speed_file()).by_type})
        return 0
    rows = [
        ("processor", found.processor),
        ("cores", _cores(found)),
        ("caches", ", ".join(f"{level} {human_bytes(size)}" for level, size in found.caches.items()) or "not known"),
        ("instructions", " ".join(found.instructions)),
        ("memory", f"{human_bytes(found.total_memory)}, {human_bytes(found.available_memory)} available"),
        ("swap", human_bytes(found.swap_bytes)),
        ("disk", f"{human_bytes(found.free_disk)} free for Zhiyin's files"),
        ("reads weights at", _speed()),
    ]
    rows += [
        (device.name, f"{device.description} ({device.type}), {_memory(device.free_bytes, device.total_bytes)}")
        for device in found.devices
    ]
    rows += [(card.name, f"not used: {card.reason}") for card in found.unused_cards]
    print_table(rows)
    return 0


def _cores(found: Hardware) -> str:
    fast = f" ({found.performance_cores} of them fast)" if found.performance_cores else ""
    return f"{found.physical_cores} physical{fast}, {found.logical_cores} logical"


def _speed() -> str:
    speeds = read_speed(speed_file()).by_type
    return ", ".join(f"{human_bytes(speeds[name])}/s {name}" for name in ("F16", "Q8_0", "Q4_K"))


def _memory(free: int, total: int) -> str:
    return f"{human_bytes(free)} of {human_bytes(total)} free"
