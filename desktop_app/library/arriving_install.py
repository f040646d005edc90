"""Installing a checkpoint for which the disk is too small: each file of weights is fetched, converted and deleted.

Everything that is done is written down before a file of weights goes (`hub/arriving.py`), so that a process that is killed
goes on with the stage that it was in. The result lies in the download's folder until it is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from converter.checkpoint.open import scaled
from converter.checkpoint.prepared import PreparedCheckpoint, prepared
from converter.hub.arriving import Arrival, Journal, half_made, read_journal, write_journal
from converter.hub.manifest import note_conversion
from converter.hub.repository import TooLittleRoom
from converter.pipeline import ConversionResult
from converter.plan import ConversionPlan, ConvertRequest, plan_conversion
from converter.progress import ProgressListener
from converter.staged import StagedConversion, key_of
from converter.stages import Stage, most_held, stages
from desktop_app.library.smoke_load import smoke_load
from desktop_app.paths import downloads_folder, models_folder
from desktop_app.planning.automatic import fitted
from models.errors import BadFile
from models.sentence import Sentence

if TYPE_CHECKING:
    from desktop_app.library.install import InstallRequest

_BLOCK = 512
"""Bytes that the system counts a file's room by."""
_SPARE = 64 * 1024 * 1024
"""Bytes of the disk that stay free."""
PIECEMEAL = Sentence(
    "The disk has no room for the whole download beside the finished file, so each file of weights is deleted once it is "
    "converted."
)


def can_install(request: InstallRequest) -> bool:
    """Tell whether a request needs a checkpoint only once, and its result can be moved to where models are."""
    once = not request.lora and request.calibration is None and request.mixture is None
    return once and downloads_folder().stat().st_dev == models_folder().stat().st_dev


class ArrivingInstall:
    """One checkpoint that is installed file by file."""

    def __init__(
        self,
        request: InstallRequest,
        arrival: Arrival,
        on_progress: ProgressListener | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        """Plan the conversion by the headers.

        Raises:
            ZhiyinError: it cannot be converted.
        """
        self._arrival, self._folder = arrival, arrival.folder
        self._on_progress, self._cancelled = on_progress, cancelled
        self._journal = read_journal(self._folder)
        self._checkpoint = prepared(self._folder, scaled(self._folder, arrival.checkpoint))
        self.plan = self._planned(request)
        sources = (version("zhiyin"), *(file.digest for file in arrival.weights.values()))
        self._key = key_of(self.plan, sources)
        self._stages = stages(list(arrival.weights), _needs(self.plan, self._checkpoint, arrival))

    def _planned(self, request: InstallRequest) -> ConversionPlan:
        """Plan the conversion; what was begun keeps its quantization, whatever this computer has free now."""
        auto = request.quant == "auto"
        quant = self._journal.quant if auto and self._journal is not None else request.quant
        wanted = ConvertRequest(self._folder, quant=quant, threads=request.threads)
        planned = plan_conversion(wanted, self._checkpoint)
        if quant == "auto":
            planned = fitted(planned, request.computer)
        return replace(planned, warnings=(*planned.warnings, PIECEMEAL))

    @property
    def finished(self) -> Path | None:
        """The result, where a run was killed between giving it its name and writing that down; None: it is not complete."""
        journal, path = self._journal, Path(self._journal.out if self._journal is not None else "")
        if (
            journal is None
            or journal.key != self._key
            or not journal.out
            or half_made(self._folder, self._key).exists()
        ):
            return None
        return path if path.is_file() and path.stat().st_size == self.plan.size else None

    def run(self, out: Path, scratch: Path) -> ConversionResult:
        """Fetch and convert what is missing, and give the result its name.

        Args:
            out: its path.
            scratch: an unfinished folder.

        Raises:
            ZhiyinError: one sentence; what is done is kept, unless the result is of no use.
        """
        path = half_made(self._folder, self._key)
        made = StagedConversion(self.plan.written_to(out), self._checkpoint, path, self._on_progress, self._cancelled)
        journal = self._journal
        if journal is None or journal.key != self._key or not made.is_begun:
            journal = self._begin(made)
        left = [stage for stage in self._stages if stage.shard not in journal.done]
        self._drop_done(left)
        self._check_room(left, path)
        for stage in left:
            journal = self._do(stage, made, journal)
        write_journal(self._folder, replace(journal, out=str(out)))
        try:
            result = made.finish(partial(smoke_load, folder=scratch))
        except BadFile:
            path.unlink()
            write_journal(self._folder, None)
            raise
        self.note(result.path)
        return result

    def note(self, made: Path) -> None:
        """Write down that the result has its name."""
        note_conversion(self._folder, self._folder, self._arrival.commit, self.plan.recipe.name, made)
        write_journal(self._folder, None)

    def _begin(self, made: StagedConversion) -> Journal:
        journal = Journal(self._key, self.plan.recipe.name)
        for old in self._folder.glob(half_made(Path(), "*").name):
            old.unlink()
        write_journal(self._folder, journal)
        made.begin()
        return journal

    def _do(self, stage: Stage, made: StagedConversion, journal: Journal) -> Journal:
        """Fetch a file of weights, convert what can be converted, write that down, delete what is not needed any more."""
        before = {name for one in self._stages if one.shard in journal.done for name in one.outputs}
        for shard in stage.needed:
            self._arrival.fetch(shard)
        made.write(stage.outputs, before)
        journal = replace(journal, done=(*journal.done, stage.shard))
        write_journal(self._folder, journal)
        for shard in stage.freed:
            self._arrival.drop(shard)
        return journal

    def _drop_done(self, left: Sequence[Stage]) -> None:
        """Delete what an earlier run was about to delete."""
        needed = {shard for stage in left for shard in stage.needed}
        for shard in self._arrival.weights:
            if shard not in needed:
                self._arrival.drop(shard)

    def _check_room(self, left: Sequence[Stage], made: Path) -> None:
        """Raise `TooLittleRoom` where the disk is too small for the worst moment."""
        arrival = self._arrival
        sizes = {name: file.size for name, file in arrival.weights.items()}
        need = most_held(left, sizes, {name: arrival.here(name) for name in sizes})
        need += self.plan.size - _allocated(made) + _SPARE
        missing = need - shutil.disk_usage(arrival.folder).free
        if missing > 0:
            raise TooLittleRoom(
                "There is too little room for {name} in {folder}, even where each file of weights is deleted once it is "
                "converted; free {missing:size} there, choose a smaller --quant, or set ZHIYIN_HOME to a larger disk.",
                name=arrival.repository,
                folder=arrival.folder,
                missing=missing,
            )


def _needs(planned: ConversionPlan, checkpoint: PreparedCheckpoint, arrival: Arrival) -> Mapping[str, set[str]]:
    """Return for each tensor of the result the files of weights that it is made of."""
    homes = arrival.checkpoint.homes
    return {
        tensor.name: {
            homes[stored].name for source in tensor.sources for stored in checkpoint.stored_names(source.name)
        }
        for tensor in planned.parts[0].tensors
    }


def _allocated(path: Path) -> int:
    """Return the bytes that a file takes of the disk."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_blocks * _BLOCK if hasattr(status, "st_blocks") else status.st_size
