"""Graphics cards that the system has, whether or not ggml can use them, and why it cannot."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.sentence import Sentence

_MAKERS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}
_MAKER_OF = {"CUDA": "NVIDIA", "ROCm": "AMD", "SYCL": "Intel"}
"""Backends that compute on the cards of one maker alone -> that maker."""
_DISPLAY_CLASS = 0x03
_DEVICES = Path("/sys/bus/pci/devices")
_WINDOWS_CARDS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


@dataclass(frozen=True)
class UnusedCard:
    """A card that ggml does not compute on."""

    name: str
    reason: Sentence
    """Why, and what to do."""


def unused_cards(used: Sequence[str], backends: Sequence[str]) -> tuple[UnusedCard, ...]:
    """Return the cards that are here and not used.

    Args:
        used: descriptions of the GPUs that ggml lists.
        backends: names of ggml's backends (CPU, CUDA, Vulkan, Metal …).
    """
    cards = []
    for card in installed_cards():
        maker = next(maker for maker in _MAKERS.values() if maker in card)
        if not any(maker.lower() in description.lower() for description in used):
            cards.append(UnusedCard(card, _reason(maker, backends)))
    return tuple(cards)


def installed_cards() -> list[str]:
    """Return the names of the graphics cards, as far as the system tells without its drivers."""
    if sys.platform == "win32":
        return _windows_cards()
    if platform.system() == "Linux":
        return _linux_cards()
    return []  # on a Mac Metal is always there


def _reason(maker: str, backends: Sequence[str]) -> Sentence:
    gpu_backends = [name for name in backends if name not in ("CPU", "BLAS", "RPC")]
    fitting = "CUDA or Vulkan" if maker == "NVIDIA" else "Vulkan"
    if not gpu_backends:
        return Sentence(
            "the engine computes on the processor only; add the engine part for {fitting} (zhiyin engine add FILE).",
            fitting=fitting,
        )
    able = [name for name in gpu_backends if _MAKER_OF.get(name, maker) == maker]
    if not able:
        return Sentence(
            "the engine part {parts} computes on {makers} cards only; add the one for Vulkan (zhiyin engine add FILE).",
            parts=", ".join(gpu_backends),
            makers=", ".join(_MAKER_OF[name] for name in gpu_backends),
        )
    if maker == "NVIDIA" and platform.system() == "Linux" and not Path("/proc/driver/nvidia/version").exists():
        return Sentence("NVIDIA's driver is not loaded; install it and start the computer again.")
    return Sentence("the engine part {parts} does not see it; bring its driver up to date.", parts=", ".join(able))


def _linux_cards() -> list[str]:
    names = []
    for device in sorted(_DEVICES.glob("*")):
        try:
            kind = int((device / "class").read_text("ascii"), 16)
            vendor = int((device / "vendor").read_text("ascii"), 16)
            number = int((device / "device").read_text("ascii"), 16)
        except (OSError, ValueError):
            continue
        if kind >> 16 == _DISPLAY_CLASS and vendor in _MAKERS:
            names.append(f"{_MAKERS[vendor]} graphics {number:04x}")
    return names


def _windows_cards() -> list[str]:
    """Return what the registry lists as display adapters."""
    winreg: Any = importlib.import_module("winreg")  # exists on Windows only
    names = []
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _WINDOWS_CARDS) as folder:
        for index in range(winreg.QueryInfoKey(folder)[0]):
            try:
                with winreg.OpenKey(folder, winreg.EnumKey(folder, index)) as card:
                    names.append(str(winreg.QueryValueEx(card, "DriverDesc")[0]))
            except OSError:
                continue
    return [name for name in names if any(maker in name for maker in _MAKERS.values())]
