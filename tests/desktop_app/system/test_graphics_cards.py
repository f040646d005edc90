"""A graphics card that is not used is named with the reason, and one that is used is not."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from desktop_app.system import graphics_cards
from desktop_app.system.graphics_cards import unused_cards

LAPTOP = ("NVIDIA GeForce RTX 4060 Laptop GPU", "Intel(R) UHD Graphics")


@pytest.mark.parametrize(
    ("used", "backends", "reasons"),
    [
        ((), ("CPU",), {"NVIDIA": "add the engine part for CUDA or Vulkan", "Intel": "add the engine part for Vulkan"}),
        (
            ("NVIDIA GeForce RTX 4060",),
            ("CUDA", "CPU"),
            {"Intel": "the engine part CUDA computes on NVIDIA cards only"},
        ),
        (("Intel(R) UHD Graphics 770",), ("Vulkan", "CPU"), {"NVIDIA": "the engine part Vulkan does not see it"}),
        (("NVIDIA GeForce RTX 4060", "Intel(R) UHD Graphics"), ("Vulkan", "CPU"), {}),
        (
            (),
            ("CUDA", "Vulkan", "CPU"),
            {"NVIDIA": "the engine part CUDA, Vulkan does", "Intel": "the engine part Vulkan does"},
        ),
    ],
    ids=["no backend", "of another maker", "not seen", "all used", "two backends"],
)
def test_a_card_that_is_not_used_has_a_reason(
    used: tuple[str, ...], backends: tuple[str, ...], reasons: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphics_cards, "installed_cards", lambda: list(LAPTOP))
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    found = unused_cards(used, backends)
    assert [card.name.split()[0].removesuffix("(R)") for card in found] == list(reasons)
    assert all(reason in str(card.reason) for card, reason in zip(found, reasons.values(), strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="asks Linux's files")
def test_linux_lists_display_controllers_of_known_makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = {
        "00:02.0": (0x030000, 0x8086, 0x46A6),
        "01:00.0": (0x030200, 0x10DE, 0x2684),
        "02:00.0": (0x010802, 0x8086, 1),
    }
    for name, numbers in devices.items():
        (tmp_path / name).mkdir()
        for file, number in zip(("class", "vendor", "device"), numbers, strict=True):
            (tmp_path / name / file).write_text(f"{number:#x}\n", "ascii")
    monkeypatch.setattr(graphics_cards, "_DEVICES", tmp_path)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert graphics_cards.installed_cards() == ["Intel graphics 46a6", "NVIDIA graphics 2684"]
