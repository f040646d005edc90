"""The texts of our own that come with the application (resources/texts): one to calibrate on, another to measure with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import resources

_FOLDER = "texts"
_MEASURED = ("measure_en.txt", "measure_zh.txt")
_PROSE = ("calibrate_en.txt", "calibrate_zh.txt", "calibrate_code.txt", "calibrate_maths.txt")
_PROBED = (900, 150, 400, 200)
"""Characters of each that `probe_text` takes."""
_DIALOGUES = "calibrate_dialogues.json"
BUILT_IN = Path("texts")
"""What errors name where the text is one of these."""


def measuring_text() -> str:
    """Return English and Chinese prose that nothing is calibrated on."""
    return "\n\n".join(map(_read, _MEASURED))


def calibration_prose() -> str:
    """Return English and Chinese prose, code and mathematics."""
    return "\n\n".join(map(_read, _PROSE))


def calibration_dialogues() -> list[list[dict[str, Any]]]:
    """Return chats, each a list of messages with `role` and `content`."""
    chats: list[list[dict[str, Any]]] = json.loads(_read(_DIALOGUES))
    return chats


def probe_text() -> str:
    """Return a short part of the prose to calibrate on, some of each kind."""
    return "\n\n".join(_read(name)[:count] for name, count in zip(_PROSE, _PROBED, strict=True))


def _read(name: str) -> str:
    return (resources.FOLDER / _FOLDER / name).read_text("utf-8")
