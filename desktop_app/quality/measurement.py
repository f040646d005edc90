"""Measures a model on a text, and holds it to a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converter.gguf_header import read_gguf_header
from converter.progress import Progress as Conversion
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Compare, Load, LoadSettings, Progress, Score, Update, WriteReference
from desktop_app.engine.results import Divergences, ModelInfo
from desktop_app.planning.footprint import recurrent_state
from desktop_app.quality.chunks import CONTEXT, cut_chunks
from desktop_app.quality.figures import Quality, perplexity_of, quality_of
from desktop_app.quality.memory import Room
from desktop_app.quality.references import reference_files, reference_identity, runnable, shrink_references
from models.dynamic_rotary import is_beyond_trained_context
from models.errors import BadFile, Cancelled, ZhiyinError

_MOST_ROWS = CONTEXT // 2
"""Positions whose logits are computed at once: those that are scored of a usual chunk, which is then one batch."""

Listener = Callable[[float, str, Sequence[float]], None]
"""Hears of the part that is done (0 to 1), of the phase ("convert", "load", "reference", "measure"), and of the figures of all
tokens so far: divergences, or losses where there is no reference."""


@dataclass(frozen=True)
class MeasureRequest:
    """A request for a measurement."""

    model: Path
    """A GGUF file."""
    text: str
    source: Path
    """Where the text is from, for errors."""
    reference: Path | None = None
    """A GGUF file or a checkpoint; None: perplexity alone."""
    context: int = CONTEXT


@dataclass(frozen=True)
class Measurement:
    """The result of a measurement."""

    quality: Quality
    context: int
    chunks: int
    divergences: tuple[float, ...]
    """Of each token, in the text's order; (): there was no reference."""


def measure_quality(
    request: MeasureRequest,
    on_progress: Listener = lambda *_: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Measurement:
    """Measure a model in an engine process of its own; the reference is computed only for chunks that are not stored yet.

    Raises:
        Cancelled: `cancelled` said so, between two chunks.
        ZhiyinError: one sentence.
    """
    with Engine() as engine:
        return measure_in(engine, request, on_progress, cancelled)


def measure_in(
    engine: Engine,
    request: MeasureRequest,
    on_progress: Listener = lambda *_: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Measurement:
    """Do what `measure_quality` does in an engine that is there; the model stays loaded."""
    check_context(request.model, request.context)
    run = _Run(engine, request, on_progress, cancelled)
    return run.against_reference(request.reference) if request.reference is not None else run.alone()


def check_context(path: Path, context: int) -> None:
    """Raise ZhiyinError where a model was trained for fewer tokens."""
    header = read_gguf_header(path, arrays=False)
    if recurrent_state(header.architecture, header.parameters):
        return  # no length is too long for them, whatever they were trained with
    trained = header.parameter("context_length")
    if isinstance(trained, int) and 0 < trained < context and not is_beyond_trained_context(header.parameters, context):
        raise ZhiyinError(
            "{name} was trained for {context} tokens of context; give --ctx {context} or less.",
            name=path.name,
            context=trained,
        )


class _Run:
    """One measurement in one engine."""

    def __init__(
        self, engine: Engine, request: MeasureRequest, on_progress: Listener, cancelled: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._room = Room(engine)
        self._request = request
        self._tell = on_progress
        self._cancelled = cancelled
        self._start = request.context // 2

    def alone(self) -> Measurement:
        self._load(self._request.model)
        chunks = self._chunks()
        losses: list[float] = []
        for number, chunk in enumerate(chunks):
            self._check(number / len(chunks), "measure", losses)
            losses += self._engine.submit(Score(chunk, self._start)).result().losses
        return Measurement(perplexity_of(losses), self._request.context, len(chunks), ())

    def against_reference(self, reference: Path) -> Measurement:
        vocabulary = self._load(self._request.model).vocabulary_size
        chunks = self._chunks()
        files = reference_files(reference_identity(reference), chunks, self._start)
        shrink_references(files)
        missing = [(chunk, file) for chunk, file in zip(chunks, files, strict=True) if not file.exists()]
        if missing:
            self._write(reference, vocabulary, missing)
            self._load(self._request.model)
        divergences = Divergences([], [], [], [])
        for number, (chunk, file) in enumerate(zip(chunks, files, strict=True)):
            self._check(number / len(chunks), "measure", divergences.divergences)
            part = self._compared(reference, vocabulary, chunk, file)
            divergences.losses.extend(part.losses)
            divergences.reference_losses.extend(part.reference_losses)
            divergences.divergences.extend(part.divergences)
            divergences.same_top.extend(part.same_top)
        return Measurement(quality_of(divergences), self._request.context, len(chunks), tuple(divergences.divergences))

    def _chunks(self) -> list[tuple[int, ...]]:
        return cut_chunks(self._engine, self._request.text, self._request.context, self._request.source)

    def _write(self, reference: Path, vocabulary: int, missing: Sequence[tuple[tuple[int, ...], Path]]) -> None:
        def converting(progress: Conversion) -> None:
            self._check(progress.bytes_done / max(1, progress.bytes_total), "convert")

        with runnable(reference, converting) as path:
            known = self._load(path).vocabulary_size
            if known != vocabulary:
                raise ZhiyinError(
                    "{reference} has {known} tokens and {model} {count}: it is another model; name the original of this one.",
                    reference=reference,
                    model=self._request.model.name,
                    known=known,
                    count=vocabulary,
                )
            for number, (chunk, file) in enumerate(missing):
                self._check(number / len(missing), "reference")
                self._engine.submit(WriteReference(chunk, self._start, file)).result()

    def _compared(self, reference: Path, vocabulary: int, chunk: tuple[int, ...], file: Path) -> Divergences:
        """Return a chunk's figures; distributions that were damaged on the disk are computed again."""
        request = Compare(chunk, self._start, file)
        try:
            return self._engine.submit(request).result()
        except ZhiyinError as error:
            if error.code != BadFile.default_code:
                raise
        file.unlink(missing_ok=True)
        self._write(reference, vocabulary, [(chunk, file)])
        self._load(self._request.model)
        return self._engine.submit(request).result()

    def _load(self, path: Path) -> ModelInfo:
        def loading(update: Update) -> None:
            if isinstance(update, Progress):
                self._tell(update.part, "load", ())

        self._check(0, "load")
        context = self._request.context
        settings = LoadSettings(context=context, logit_rows=max(1, min(context - self._start, _MOST_ROWS)))
        self._room.check(path, settings)
        return self._engine.submit(Load(path, settings), loading).result()

    def _check(self, part: float, phase: str, so_far: Sequence[float] = ()) -> None:
        if self._cancelled():
            raise Cancelled("Stopped.")
        self._tell(part, phase, so_far)
