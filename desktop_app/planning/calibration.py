"""What loads really took on this computer, and what the next plan learns from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from converter.atomic_write import write_whole

_KEPT = 60
_LEARNED_FROM = 5
"""The newest loads that count: drivers and libraries change."""
_LARGEST_CORRECTION = 512 * 1024 * 1024
"""More than this is no error of a prediction but another program's doing."""


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
    """The records, in a small file; a damaged one is begun anew."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self._path = path
        self._records = _read(path)

    def add(self, records: Sequence[LoadRecord]) -> None:
        """Store what a load took; a full disk only loses the lesson."""
        self._records = [*self._records, *records][-_KEPT:]
        try:
            write_whole(self._path, json.dumps([asdict(record) for record in self._records]))
        except OSError:
            return

    def newest(self, device: str) -> list[LoadRecord]:
        """Return the loads on a device that count, the oldest first."""
        return [record for record in self._records if record.device == device][-_LEARNED_FROM:]

    def corrections(self) -> Mapping[str, int]:
        """Return what to add to predictions: the median of the errors, by device."""
        found = {}
        for device in {record.device for record in self._records}:
            error = median(record.actual - record.predicted for record in self.newest(device))
            found[device] = max(-_LARGEST_CORRECTION, min(_LARGEST_CORRECTION, int(error)))
        return found

    def lesson(self) -> str:
        """Return a sentence on the newest loads in main memory, "" when there is none."""
        newest = self.newest("RAM")[-3:]
        if not newest:
            return ""
        parts = [
            f"{r.model} was predicted to take {r.predicted / 1e9:.2f} GB and took {r.actual / 1e9:.2f}" for r in newest
        ]
        return f"Corrected by what loads took here: {'; '.join(parts)}."


def _read(path: Path) -> list[LoadRecord]:
    try:
        entries = json.loads(path.read_text("utf-8"))
        return [LoadRecord(**entry) for entry in entries if isinstance(entry.get("predicted"), int)][-_KEPT:]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
