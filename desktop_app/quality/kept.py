"""The newest measurement of each model, in a small file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from desktop_app.quality.figures import Quality
from desktop_app.small_files import Parsed, SmallFile
from models.sentence import Sentence

_MOST = 500
"""Models that measurements are kept of; those measured longest ago go first."""


@dataclass(frozen=True)
class KeptQuality:
    """The figures that are shown of a measurement."""

    size: int
    """Bytes of the model's file, so that another file of the same name does not get its figures."""
    reference: str
    """The name of what it was held to."""
    tokens: int
    kl_mean: float
    same_top: float
    perplexity: float
    perplexity_reference: float


class Qualities:
    """The measurements, by the path of the model's file."""

    def __init__(self, path: Path) -> None:
        """Read what is there."""
        self._file = SmallFile(path, dict, _parsed, lambda kept: {name: asdict(entry) for name, entry in kept.items()})

    def of(self, model: Path) -> KeptQuality | None:
        """Return what was measured of a file as it is now."""
        entry = self._file.read().get(str(model))
        with suppress(OSError):
            return entry if entry is not None and entry.size == model.stat().st_size else None
        return None

    def keep(self, model: Path, reference: Path, quality: Quality) -> KeptQuality | None:
        """Keep a measurement and return it; None: it was against no reference, or the disk is full."""
        facts = {name: getattr(quality, name) for name in _FIGURES}
        if None in facts.values():
            return None
        with suppress(OSError):
            entry = KeptQuality(model.stat().st_size, reference.name, quality.tokens, **facts)
            self._file.change(lambda kept: _newest({**_without(kept, str(model)), str(model): entry}))
            return entry
        return None


def in_words(same_top: float) -> Sentence:
    """Return what the share of equal top tokens means, in one sentence."""
    return Sentence("It answers like the original in {share} of 100 tokens.", share=math.floor(100 * same_top + 0.5))


_FIGURES = ("kl_mean", "same_top", "perplexity", "perplexity_reference")


def _without(kept: Mapping[str, KeptQuality], name: str) -> dict[str, KeptQuality]:
    return {other: entry for other, entry in kept.items() if other != name}


def _newest(kept: dict[str, KeptQuality]) -> dict[str, KeptQuality]:
    return dict(list(kept.items())[-_MOST:])


def _parsed(entries: Any) -> Parsed[dict[str, KeptQuality]]:
    if not isinstance(entries, dict):
        raise TypeError(entries)
    good = {name: KeptQuality(**entry) for name, entry in entries.items() if _is_good(entry)}
    return Parsed(_newest(good), len(good) == len(entries))


def _is_good(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"size", "reference", "tokens", *_FIGURES}
        and isinstance(entry["reference"], str)
        and all(type(entry[name]) is int and entry[name] >= 0 for name in ("size", "tokens"))
        and all(isinstance(entry[name], float) and math.isfinite(entry[name]) for name in _FIGURES)
        and 0 <= entry["same_top"] <= 1
    )
