"""This computer's reading speed: measured by the engine once, then kept in a file."""

from __future__ import annotations

import math
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import MeasureReadSpeed
from desktop_app.small_files import Parsed, SmallFile
from desktop_app.system.read_speed import TYPES, ReadSpeed
from desktop_app.system.threads import usual_threads

_TRIES = 3
"""Measurements beside busy programs before anything is said."""


def read_speed(engine: Engine, cache: Path) -> ReadSpeed:
    """Return the speed measured on this computer before, or let the engine measure it now (about two seconds).

    It is kept in `cache`. Where other programs were too busy it is measured a few times and again whenever it is asked for: they
    only ever make it slower, so the fastest that was seen of each type is the nearest to the truth.
    """
    stored = _stored(cache)
    speed = stored or measure(engine)
    for _ in range(_TRIES - 1 if stored is None else 1):
        if speed.disturbed:
            speed = _fastest(speed, measure(engine))
    if speed != stored:
        keep_speed(cache, speed)
    return speed


def measure(engine: Engine) -> ReadSpeed:
    """Measure in the engine process."""
    return engine.submit(MeasureReadSpeed()).result()


def keep_speed(cache: Path, speed: ReadSpeed) -> None:
    """Store what was measured on this computer for `known_speed`; a full disk only has it measured again."""
    computer = _this_computer()

    def faster(stored: _Measured | None) -> _Measured:
        """Another process may have measured meanwhile."""
        known = None if stored is None else stored.on(computer)
        return _Measured(computer, speed if known is None else _fastest(known, speed))

    with suppress(OSError):
        _file(cache).change(faster)


def known_speed(cache: Path) -> ReadSpeed | None:
    """Return the speed measured on this computer before; None: it never was, or beside busy programs only."""
    stored = _stored(cache)
    return None if stored is None or stored.disturbed else stored


@dataclass(frozen=True)
class _Measured:
    """What the file holds."""

    computer: str
    speed: ReadSpeed

    def on(self, computer: str) -> ReadSpeed | None:
        """Return the speed, None: it is another computer's, or was measured before all of today's types were."""
        return self.speed if self.computer == computer and self.speed.by_type.keys() >= set(TYPES) else None


def _file(cache: Path) -> SmallFile[_Measured | None]:
    return SmallFile(cache, lambda: None, _parsed, _facts)


def _stored(cache: Path) -> ReadSpeed | None:
    measured = _file(cache).read()
    return None if measured is None else measured.on(_this_computer())


def _facts(measured: _Measured | None) -> dict[str, Any]:
    if measured is None:
        return {}
    speed = measured.speed
    return {
        "computer": measured.computer,
        "bytes_per_second": speed.by_type,
        "threads": speed.threads,
        "processor_share": speed.processor_share,
    }


def _parsed(stored: Any) -> Parsed[_Measured | None]:
    computer, speeds, threads = stored["computer"], stored["bytes_per_second"], stored["threads"]
    share = float(stored["processor_share"])
    speed = ReadSpeed({name: float(value) for name, value in speeds.items()}, threads, share)
    numbers_are_good = all(0 < value < math.inf for value in speed.by_type.values()) and 0 <= share < math.inf
    if not (isinstance(computer, str) and speeds and type(threads) is int and threads >= 0 and numbers_are_good):
        raise ValueError(stored)
    return Parsed(_Measured(computer, speed))


def _fastest(one: ReadSpeed, other: ReadSpeed) -> ReadSpeed:
    speeds = {name: max(speed, other.by_type[name]) for name, speed in one.by_type.items()}
    return replace(max(one, other, key=lambda speed: speed.processor_share), by_type=speeds)


def _this_computer() -> str:
    return f"{platform.node()}, {platform.machine()}, {usual_threads()} threads"
