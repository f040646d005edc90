"""The way to a worker, as it was measured: plain data."""

from __future__ import annotations

from msgspec import Struct


class Link(Struct, frozen=True):
    """How fast a worker is reached."""

    worker: str
    """Its address."""
    round_trip: float
    """Seconds for a question and its answer."""
    bytes_per_second: float
    """0: not measured, since its memory was full."""
