"""Measuring models for the window: one at a time in a process of its own, whether or not anybody watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.library.installed_model import InstalledModel
from desktop_app.ui.bridges.background import Background
from models.errors import Cancelled

if TYPE_CHECKING:
    from desktop_app.library.measuring import MeasuringProgress
    from desktop_app.quality.kept import KeptQuality


@dataclass(eq=False)
class Measuring:
    """One measurement, and how far it is."""

    model: InstalledModel
    original: Path
    progress: MeasuringProgress | None = None
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    on_end: Callable[[], None] = field(default=lambda: None, repr=False)


class QualityBridge(QObject):
    """Measures models, and knows what was measured."""

    changed = Signal()
    """`current` is another one, or further, or `kept` is new."""
    measured = Signal(InstalledModel, object)
    """Its `KeptQuality`."""
    failed = Signal(InstalledModel, Exception)

    def __init__(self, parent: QObject | None = None) -> None:
        """Nothing is measured."""
        super().__init__(parent)
        self._background = Background("quality", self)
        self._looking = Background("qualities", self)
        self.current: Measuring | None = None
        self.kept: dict[Path, KeptQuality] = {}
        """What was measured, by the model's file; `refresh` reads it."""

    def refresh(self, models: Iterable[InstalledModel]) -> None:
        """Read what was measured of models."""
        paths = [model.path for model in models]

        def read() -> dict[Path, KeptQuality]:
            from desktop_app.library.measuring import qualities_of

            return qualities_of(paths)

        def keep(kept: dict[Path, KeptQuality]) -> None:
            self.kept = kept
            self.changed.emit()

        self._looking.run(read, keep, lambda _: None)

    def find_originals(
        self, model: InstalledModel, others: Sequence[InstalledModel], on_done: Callable[[list[Path]], None]
    ) -> None:
        """Find out what a model may have been made of; see `originals_of`."""

        def find() -> list[Path]:
            from desktop_app.library.measuring import originals_of

            return originals_of(model, others)

        self._looking.run(find, on_done, lambda _: on_done([]))

    def measure(self, model: InstalledModel, original: Path, on_end: Callable[[], None] = lambda: None) -> None:
        """Begin, unless something is measured already; `on_end` is called when it is over, however that comes."""
        if self.current is not None:
            return
        job = self.current = Measuring(model, original, on_end=on_end)

        def work() -> KeptQuality:
            from desktop_app.library.measuring import measure_in_process

            return measure_in_process(
                model.path, original, lambda event: self._background.post(lambda: self._tell(job, event)), job.stop
            )

        self._background.run(work, lambda kept: self._done(job, kept), lambda error: self._failed(job, error))
        self.changed.emit()

    def stop(self) -> None:
        """Stop what is measured; `changed` tells of the end."""
        if self.current is not None:
            self.current.stop.set()

    def close(self) -> None:
        """Stop, and wait for the end, some seconds at most."""
        self.stop()
        self._background.close()
        self._looking.close()

    def _tell(self, job: Measuring, progress: MeasuringProgress) -> None:
        job.progress = progress
        self.changed.emit()

    def _done(self, job: Measuring, kept: KeptQuality) -> None:
        self.current = None
        self.kept = {**self.kept, job.model.path: kept}
        self.changed.emit()
        self.measured.emit(job.model, kept)
        job.on_end()

    def _failed(self, job: Measuring, error: Exception) -> None:
        self.current = None
        self.changed.emit()
        if not isinstance(error, Cancelled):
            self.failed.emit(job.model, error)
        job.on_end()
