"""A conversion in stages: tensors are written to their places as their shards arrive, over as many runs as it takes.

The file has its full size from the start and its header first, so that what is written needs no order.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from converter.atomic_write import sync
from converter.checkpoint import Checkpoint
from converter.gguf_writer import aligned
from converter.pipeline import ConversionResult, Report, finish, result_of, write_tensors
from converter.plan import ConversionPlan
from converter.progress import ProgressListener
from models.errors import Cancelled
from models.sentence import Sentence
from models.system_errors import cannot_write

_KEY = 16
"""Hexadecimal digits."""


class StagedConversion:
    """One file that is made in stages."""

    def __init__(
        self,
        plan: ConversionPlan,
        checkpoint: Checkpoint,
        path: Path,
        on_progress: ProgressListener | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        """Begin with nothing.

        Args:
            plan: what to write, one file.
            checkpoint: where it is made from.
            path: where it is until it is complete.
            on_progress: as in `convert`.
            cancelled: as in `convert`.
        """
        self._plan, self._checkpoint, self._path = plan, checkpoint, path
        self._on_progress, self._cancelled = on_progress, cancelled
        self._threads = plan.request.threads or os.cpu_count() or 1
        self._start = time.monotonic()
        (self._part,) = plan.parts

    def begin(self) -> None:
        """Make the file anew, with its header.

        Raises:
            ZhiyinError: the system refuses.
        """
        try:
            with self._path.open("wb") as file:
                file.write(self._part.layout.header)
                file.truncate(self._plan.size)
                file.flush()
                sync(file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error

    @property
    def is_begun(self) -> bool:
        """The file of an earlier run is here."""
        try:
            return self._path.stat().st_size == self._plan.size
        except OSError:
            return False

    def write(self, names: Collection[str], done: Collection[str]) -> None:
        """Write some tensors, down to the disk.

        Args:
            names: which.
            done: those that were written before.

        Raises:
            Cancelled: it was stopped.
            ZhiyinError: a tensor is damaged, or the system refuses.
        """
        report = self._report(done)
        try:
            with self._path.open("r+b") as file:
                write_tensors(self._plan, self._part, self._checkpoint, self._threads, report, file, names)
                file.flush()
                sync(file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._checkpoint.check()

    def finish(self, smoke_load: Callable[[Path], Sentence] | None) -> ConversionResult:
        """Read the file back, try it and give it its name, as `convert` does."""
        report = self._report([tensor.name for tensor in self._part.tensors])
        try:
            verification = finish(self._plan, [self._path], self._threads, report, smoke_load)
        except OSError as error:
            raise cannot_write(self._plan.out, error) from error
        return result_of(self._plan, verification, time.monotonic() - self._start)

    def _report(self, done: Collection[str]) -> Report:
        layout = self._part.layout
        sizes = [aligned(placed.size) for placed in layout.tensors if placed.name in done]
        report = _Report(self._plan, self._on_progress, self._cancelled, "converting", len(layout.header) + sum(sizes))
        report.items = len(sizes)
        return report


class _Report(Report):
    def check(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled(
                "The conversion was stopped; what is converted is kept, and the same command goes on from there."
            )


def key_of(plan: ConversionPlan, sources: Iterable[str]) -> str:
    """Return what tells a file that is being made from others: its header, and the digests of what it is made of."""
    digest = hashlib.sha256(plan.parts[0].layout.header)
    for source in sources:
        digest.update(source.encode())
    return digest.hexdigest()[:_KEY]
