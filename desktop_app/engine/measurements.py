"""Measurements of the loaded model in the engine process: logits, losses, vectors, importance, speed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from converter.atomic_write import write_file
from desktop_app.engine import protocol
from desktop_app.engine.event_pipe import EventPipe
from desktop_app.engine.loaded import Loaded
from desktop_app.engine.results import (
    AnyResult,
    CollectedChunks,
    Coverage,
    Divergences,
    Durations,
    LogitsShape,
    Losses,
    Scores,
    Vectors,
)
from desktop_app.system.read_speed import ReadSpeed
from models.system_errors import OTHER_PLACE, cannot_write

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from typing import Any

    import numpy as np

    from desktop_app.engine.llama.embedding import EmbeddingRunner


class Measurements:
    """Answers requests that measure; each is computed alone."""

    def __init__(self, loaded: Loaded, events: EventPipe, cancelled: Set[int]) -> None:
        """Take what is loaded, where progress goes, and the numbers of the requests that nobody wants any more."""
        self._loaded, self._events, self._cancelled = loaded, events, cancelled
        self.handlers: dict[type[Any], Callable[[int, Any], AnyResult | None]] = {
            protocol.Logits: self._logits,
            protocol.Score: self._score,
            protocol.Embed: self._embed,
            protocol.Rerank: self._rerank,
            protocol.WriteReference: self._write_reference,
            protocol.Compare: self._compare,
            protocol.CollectImportance: self._collect_importance,
            protocol.ResumeImportance: self._resume_importance,
            protocol.WriteImportance: self._write_importance,
            protocol.Measure: self._measure,
            protocol.MeasureReadSpeed: self._measure_read_speed,
        }

    def _logits(self, number: int, request: protocol.Logits) -> LogitsShape:
        logits = self._loaded.for_ids(request.ids).all_logits(request.ids)
        _write_array(request.out, logits)
        return LogitsShape((logits.shape[0], logits.shape[1]))

    def _score(self, number: int, request: protocol.Score) -> Losses:
        from desktop_app.engine.measuring import losses

        return Losses(losses(self._loaded.for_ids(request.ids), request.ids, request.start))

    def _embed(self, number: int, request: protocol.Embed) -> Vectors:
        vectors = self._measuring_model(number).embed(
            request.texts, request.role, self._events.progress(number, "embed")
        )
        return Vectors(vectors.shape[1], vectors.astype("<f4").tobytes())

    def _rerank(self, number: int, request: protocol.Rerank) -> Scores:
        runner = self._measuring_model(number)
        return Scores(runner.rerank(request.query, request.texts, self._events.progress(number, "embed")))

    def _write_reference(self, number: int, request: protocol.WriteReference) -> None:
        from desktop_app.engine.distributions import write_reference

        write_reference(self._loaded.for_ids(request.ids), request.ids, request.start, request.out)

    def _compare(self, number: int, request: protocol.Compare) -> Divergences:
        from desktop_app.engine.distributions import compare

        return compare(self._loaded.for_ids(request.ids), request.ids, request.start, request.reference)

    def _collect_importance(self, number: int, request: protocol.CollectImportance) -> None:
        runner = self._loaded.for_ids(request.ids)
        collector = self._loaded.collector()
        for _ in runner.logit_blocks(request.ids):  # all positions: llama.cpp computes the last layer for no others
            pass
        collector.check()

    def _resume_importance(self, number: int, request: protocol.ResumeImportance) -> CollectedChunks:
        from converter.importance import read_collected

        collected = read_collected(request.path)
        if collected is None or collected.key != request.key:
            return CollectedChunks(0)
        self._loaded.collector().sums = dict(collected.sums)
        return CollectedChunks(collected.chunks)

    def _write_importance(self, number: int, request: protocol.WriteImportance) -> Coverage:
        from converter.importance import Collected, write_collected

        sums = self._loaded.collector().sums
        collected = Collected(sums, request.chunk_size, (request.dataset,), request.key)
        try:
            write_collected(request.out, collected)
        except OSError as error:
            raise cannot_write(request.out, error) from error
        experts = {name: entry.counts.tolist() for name, entry in sums.items() if len(entry.counts) > 1}
        return Coverage(len(sums), collected.chunks, dict(sorted(experts.items())))

    def _measure(self, number: int, request: protocol.Measure) -> Durations:
        from desktop_app.engine.measuring import speeds

        runner = self._loaded.for_ids(request.ids)
        return Durations(
            *(runner.bare_speeds if request.bare else partial(speeds, runner))(request.ids, request.tokens)
        )

    def _measuring_model(self, number: int) -> EmbeddingRunner:
        runner = self._loaded.measuring()
        if number in self._cancelled:
            runner.interrupt(True)
        return runner

    def _measure_read_speed(self, number: int, request: protocol.MeasureReadSpeed) -> ReadSpeed:
        from desktop_app.engine.bandwidth import measure

        return measure()


def _write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all."""
    import numpy as np

    def write(file: BinaryIO) -> None:
        contiguous = np.ascontiguousarray(array)
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(contiguous))
        file.write(contiguous.data)  # NumPy's own writing tells no errno

    try:
        write_file(path, write)
    except OSError as error:
        raise cannot_write(path, error, OTHER_PLACE) from error
