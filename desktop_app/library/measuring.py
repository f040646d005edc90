"""Measuring an installed model against its original, in a process of its own that can be stopped."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from converter.atomic_write import remove_leftovers
from converter.hub.manifest import in_use
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.origins import checkpoint_of
from desktop_app.paths import data_folder, downloads_folder, qualities_file
from desktop_app.processes.worker import Tell, in_process
from desktop_app.quality.kept import KeptQuality, Qualities
from desktop_app.quality.measurement import MeasureRequest, measure_quality
from desktop_app.quality.texts import BUILT_IN, measuring_text
from models.errors import ZhiyinError

_PATIENCE = 2.0
"""Seconds that the process gets to stop by itself: between two chunks of the text."""


@dataclass(frozen=True)
class MeasuringProgress:
    """How far a measurement is."""

    part: float
    """0 to 1, of the phase."""
    phase: str
    """As of `measurement.Listener`."""
    kl_so_far: float | None = None
    """Mean KL divergence of what was read; None: nothing was."""


def originals_of(model: InstalledModel, others: Iterable[InstalledModel]) -> list[Path]:
    """Return what may be a model's original, the likeliest first: its checkpoint, then larger files of its architecture."""
    checkpoint = checkpoint_of(model.path, downloads_folder())
    larger = [other for other in others if other.architecture == model.architecture and other.bytes > model.bytes]
    files = [other.path for other in sorted(larger, key=lambda other: -other.bytes)]
    return [*([] if checkpoint is None else [checkpoint]), *files]


def qualities_of(models: Iterable[Path]) -> dict[Path, KeptQuality]:
    """Return what was measured of files, as they are now."""
    kept = Qualities(qualities_file())
    return {path: quality for path in models if (quality := kept.of(path)) is not None}


def measure_in_process(model: Path, original: Path, tell: Tell, stop: threading.Event) -> KeptQuality:
    """Measure a model on the text of our own, and keep the figures with it.

    Args:
        model: a GGUF file.
        original: a GGUF file or a checkpoint.
        tell: hears of `MeasuringProgress`.
        stop: set it to stop the work; the distributions of the original that are there by then are used the next time.

    Raises:
        ZhiyinError: as `measure_quality` and `in_process`.
    """
    try:
        return in_process(partial(_measure, model, original), tell, stop, grace=_PATIENCE)
    finally:
        remove_leftovers(data_folder())  # the converted original of a process that was killed


def _measure(model: Path, original: Path, tell: Tell, cancelled: Callable[[], bool]) -> KeptQuality:
    def progress(part: float, phase: str, divergences: Sequence[float]) -> None:
        mean = math.fsum(divergences) / len(divergences) if divergences else None
        tell(MeasuringProgress(part, phase, mean))

    request = MeasureRequest(model, measuring_text(), BUILT_IN, original)
    with in_use(original):
        measurement = measure_quality(request, progress, cancelled)
    kept = Qualities(qualities_file()).keep(model, original, measurement.quality)
    if kept is None:
        raise ZhiyinError(
            "What was measured of {name} could not be kept; free some space and try again.", name=model.name
        )
    return kept
