"""Calibration: the measured memory of earlier loads on this computer, and the corrections that follow for the next plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from desktop_app.small_files import Parsed, SmallFile

_KEPT = 60
_LEARNED_FROM = 5
"""The newest loads that count: drivers and libraries change."""
_LARGEST_CORRECTION = 512 * 1024 * 1024
"""More than this is no error of a prediction but another program's doing."""
_MOST_BYTES = 1 << 50
"""More memory than any computer has: a damaged number."""


@dataclass(frozen=True)
class LoadRecord:
    """One load, on one device."""

    device: str
    """"RAM", or ggml's name of a GPU."""
    model: str
    predicted: int
    """Bytes by the formulas alone, without what was learned."""
    actual: int


class Loads:
    """The records, in a small file."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self._file = SmallFile(path, list, _parsed, lambda records: [asdict(record) for record in records])
        self._records = self._file.read()

    def add(self, records: Sequence[LoadRecord]) -> None:
        """Store what a load took; a full disk only loses the correction."""

        def added(stored: list[LoadRecord]) -> list[LoadRecord]:
            self._records = [*stored, *records][-_KEPT:]
            return self._records

        with suppress(OSError):
            self._file.change(added)

    def newest(self, device: str) -> list[LoadRecord]:
        """Return the loads on a device that count, the oldest first."""
        return [record for record in self._records if record.device == device][-_LEARNED_FROM:]

    def corrections(self) -> Mapping[str, int]:
        """Return what to add to predictions: the median of the errors, by device."""
        corrections = {}
        for device in {record.device for record in self._records}:
            error = median(record.actual - record.predicted for record in self.newest(device))
            corrections[device] = max(-_LARGEST_CORRECTION, min(_LARGEST_CORRECTION, int(error)))
        return corrections

    def correction(self) -> str:
        """Return a sentence on the newest loads in main memory, "" when there is none."""
        newest = self.newest("RAM")[-3:]
        if not newest:
            return ""
        parts = [
            f"{r.model} was predicted to take {r.predicted / 1e9:.2f} GB and took {r.actual / 1e9:.2f}" for r in newest
        ]
        return f"Corrected by what loads took here: {'; '.join(parts)}."


def _parsed(entries: Any) -> Parsed[list[LoadRecord]]:
    if not isinstance(entries, list):
        raise TypeError(entries)
    records = [
        LoadRecord(entry["device"], entry["model"], entry["predicted"], entry["actual"])
        for entry in entries
        if _is_good(entry)
    ]
    return Parsed(records[-_KEPT:], len(records) == len(entries))


def _is_good(entry: Any) -> bool:
    texts = isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("device", "model"))
    return texts and all(
        type(entry.get(name)) is int and 0 <= entry[name] <= _MOST_BYTES for name in ("predicted", "actual")
    )
