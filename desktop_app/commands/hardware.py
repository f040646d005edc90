"""`zhiyin hardware`: processor, memory and every device that ggml lists."""

from __future__ import annotations

import argparse

from desktop_app.engine.client import Engine
from desktop_app.hardware import probe
from desktop_app.terminal import human_bytes, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Print what this computer has."""
    with Engine() as engine:
        found = probe(engine)
    if arguments.json:
        print_json(found.as_json())
        return 0
    rows = [
        ("processor", found.processor),
        ("cores", f"{found.physical_cores} physical, {found.logical_cores} logical"),
        ("memory", f"{human_bytes(found.total_memory)}, {human_bytes(found.available_memory)} available"),
        ("swap", human_bytes(found.swap_bytes)),
    ]
    rows += [
        (device.name, f"{device.description} ({device.type}), {_memory(device.free_bytes, device.total_bytes)}")
        for device in found.devices
    ]
    print_table(rows)
    return 0


def _memory(free: int, total: int) -> str:
    return f"{human_bytes(free)} of {human_bytes(total)} free"
