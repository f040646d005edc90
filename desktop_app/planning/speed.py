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

    It is kept in `cache`. Where two measurements differ it is measured a few times and again whenever it is asked for: other
    programs only ever make it slower, so the fastest that was seen of each type is the nearest to the truth.
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
    """The stored measurement."""

    computer: str
    speed: ReadSpeed

    def on(self, computer: str) -> ReadSpeed | None:
        """Return the speed, None: it is another computer's, or was measured before all that is measured today."""
        known = self.speed.by_type.keys() >= set(TYPES) and self.speed.copied > 0
        return self.speed if self.computer == computer and known else None


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
        "row_seconds": speed.row_seconds,
        "threads": speed.threads,
        "spread": speed.spread,
        "repacked": speed.repacked,
        "copied": speed.copied,
    }


def _parsed(stored: Any) -> Parsed[_Measured | None]:
    computer, threads, spread = stored["computer"], stored["threads"], float(stored["spread"])
    speeds, rows = (
        {name: float(value) for name, value in stored[key].items()} for key in ("bytes_per_second", "row_seconds")
    )
    numbers_are_good = all(0 < value < math.inf for value in speeds.values()) and 1 <= spread < math.inf
    rows_are_good = all(0 <= value < math.inf for value in rows.values())
    count_is_good = type(threads) is int and threads >= 0
    repacked, copied = tuple(map(str, stored.get("repacked", ()))), float(stored.get("copied", 0))
    copied_is_good = 0 <= copied < math.inf
    if not (
        isinstance(computer, str) and speeds and count_is_good and numbers_are_good and rows_are_good and copied_is_good
    ):
        raise ValueError(stored)
    return Parsed(_Measured(computer, ReadSpeed(speeds, threads, rows, spread, repacked, copied)))


def _fastest(one: ReadSpeed, other: ReadSpeed) -> ReadSpeed:
    """Return the faster of two measurements for each type."""
    faster = {name: one if speed >= other.by_type[name] else other for name, speed in one.by_type.items()}
    return replace(
        min(one, other, key=lambda speed: speed.spread),
        by_type={name: of.by_type[name] for name, of in faster.items()},
        row_seconds={name: of.row_seconds.get(name, 0.0) for name, of in faster.items()},
    )


def _this_computer() -> str:
    return f"{platform.node()}, {platform.machine()}, {usual_threads()} threads"
