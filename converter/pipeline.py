"""Checkpoint to GGUF in one pass: read, transform, quantize and write, in bounded memory.

Tensors are cut into pieces of rows. Worker threads widen and quantize pieces (libggml runs without the GIL) while this thread
reads ahead and writes them in their order; only a few pieces are in memory at a time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.checkpoint import Checkpoint
from converter.checkpoint.open import checkpoint_folder, open_checkpoint, read_config
from converter.ggml import quantize, row_bytes, widen
from converter.gguf_writer import Layout, PlacedTensor, aligned, lay_out
from converter.metadata import file_name, general_metadata
from converter.recipes import Recipe, find_recipe, tensor_types
from models.config import Config
from models.errors import BadFile, Cancelled, ZhiyinError
from models.families import family_of
from models.family import Blueprint, Metadata, OutputTensor
from models.vocab import read_vocabulary
from models.vocab.vocabulary import NO_VOCABULARY, Vocabulary

_PIECE_ELEMENTS = 2 * 1024 * 1024
_PROGRESS_SECONDS = 0.1
_NUMPY_TYPES = {
    "float32": GGMLQuantizationType.F32,
    "float16": GGMLQuantizationType.F16,
    "bfloat16": GGMLQuantizationType.BF16,
}

ProgressListener = Callable[["Progress"], None]


@dataclass(frozen=True)
class ConvertRequest:
    """What to convert and how."""

    source: Path
    out: Path | None = None
    """None: the customary name, in the current folder."""
    quant: str = "auto"
    tokenizer: Path | str | None = None
    """Folder of another tokenizer; "none": convert without one."""
    threads: int = 0
    """0: one for each core."""


@dataclass(frozen=True)
class Progress:
    """How far a conversion is."""

    bytes_done: int
    bytes_total: int
    tensors_done: int
    tensors_total: int
    tensor: str
    """The one being written."""
    bytes_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class ConversionPlan:
    """Everything that is known before the work begins."""

    out: Path
    family: str
    architecture: str
    recipe: Recipe
    size: int
    """Bytes of the file, exactly."""
    warnings: tuple[str, ...]
    tensors: tuple[OutputTensor, ...] = field(repr=False)
    layout: Layout = field(repr=False)


@dataclass(frozen=True)
class ConversionResult:
    """What was written."""

    path: Path
    architecture: str
    quant: str
    size: int
    tensors: int
    seconds: float
    warnings: tuple[str, ...]


def convert(
    request: ConvertRequest,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ConversionResult:
    """Convert a checkpoint; the file appears whole or not at all.

    Args:
        request: what to convert.
        on_progress: hears of progress about ten times a second, on this thread.
        cancelled: asked between pieces; True ends the work.

    Raises:
        ZhiyinError: one sentence; nothing is left behind.
    """
    start = time.monotonic()
    checkpoint = _open(request.source)
    try:
        plan = _plan(request, checkpoint)
        _check_room(plan)
        report = _Report(plan, on_progress, cancelled)
        _write_file(plan, checkpoint, request.threads or os.cpu_count() or 1, report)
    finally:
        checkpoint.close()
    return ConversionResult(
        path=plan.out,
        architecture=plan.architecture,
        quant=plan.recipe.name,
        size=plan.size,
        tensors=len(plan.tensors),
        seconds=time.monotonic() - start,
        warnings=plan.warnings,
    )


def plan(request: ConvertRequest) -> ConversionPlan:
    """Return what `convert` would do, reading headers only."""
    checkpoint = _open(request.source)
    try:
        return _plan(request, checkpoint)
    finally:
        checkpoint.close()


def _open(source: Path) -> Checkpoint:
    """Open a checkpoint, after refusing a configuration that nothing can be done with."""
    if (source / "config.json").is_file():
        family_of(read_config(source))
    return open_checkpoint(source)


def _plan(request: ConvertRequest, checkpoint: Checkpoint) -> ConversionPlan:
    config = read_config(request.source, checkpoint)
    family = family_of(config)
    blueprint = family.blueprint(config, {name: tensor.shape for name, tensor in checkpoint.tensors.items()})
    _check_sources(checkpoint, blueprint)
    vocabulary = _vocabulary(request, config, blueprint)
    parameters = sum(prod(tensor.shape) for tensor in blueprint.tensors)
    recipe = find_recipe("Q4_K_M" if request.quant == "auto" else request.quant)
    types = tensor_types(recipe, blueprint.tensors, blueprint.architecture, blueprint.parameters)
    metadata = _metadata(request.source, config, recipe, blueprint, vocabulary, parameters)
    entries = [(tensor.name, tensor.shape, type_) for tensor, type_ in zip(blueprint.tensors, types, strict=True)]
    layout = lay_out(metadata, entries)
    out = request.out or Path(file_name(request.source, config, recipe, parameters))
    return ConversionPlan(
        out=out,
        family=family.name,
        architecture=blueprint.architecture,
        recipe=recipe,
        size=layout.size,
        warnings=vocabulary.warnings,
        tensors=blueprint.tensors,
        layout=layout,
    )


def _check_sources(checkpoint: Checkpoint, blueprint: Blueprint) -> None:
    """Raise `BadFile` when the checkpoint is not what its configuration says."""
    for tensor in blueprint.tensors:
        for source in tensor.sources:
            stored = checkpoint.tensors.get(source.name)
            if stored is None:
                raise BadFile(
                    f"{checkpoint.path} has no tensor {source.name}, which its config.json calls for; download it all."
                )
            if stored.shape != source.shape:
                raise BadFile(
                    f"{checkpoint.path}: tensor {source.name} has the shape {_shape(stored.shape)}, but config.json calls for "
                    f"{_shape(source.shape)}; weights and configuration are of different models."
                )


def _vocabulary(request: ConvertRequest, config: Config, blueprint: Blueprint) -> Vocabulary:
    if request.tokenizer == "none":
        return NO_VOCABULARY
    folder = checkpoint_folder(request.source) if request.tokenizer is None else Path(request.tokenizer)
    read = blueprint.read_vocabulary or read_vocabulary
    vocabulary = read(folder, config)
    if len(vocabulary.tokens) > blueprint.vocabulary_size:
        raise BadFile(
            f"{folder}: the tokenizer has {len(vocabulary.tokens)} tokens, but the model only {blueprint.vocabulary_size}; "
            "take the tokenizer from the same place as the weights."
        )
    return vocabulary.padded(blueprint.vocabulary_size)


def _metadata(
    source: Path, config: Config, recipe: Recipe, blueprint: Blueprint, vocabulary: Vocabulary, parameters: int
) -> Metadata:
    """Return all key-value pairs in the customary order."""
    pairs: Metadata = {"general.architecture": blueprint.architecture}
    pairs |= general_metadata(source, config, recipe, parameters)
    pairs |= {f"{blueprint.architecture}.{key}": value for key, value in blueprint.parameters.items()}
    pairs |= blueprint.metadata | vocabulary.metadata()
    if blueprint.chat is not None:
        pairs.setdefault("tokenizer.chat_template", blueprint.chat.template)
        if blueprint.chat.stop:
            pairs["zhiyin.chat.stop"] = list(blueprint.chat.stop)
    return pairs


def _check_room(plan: ConversionPlan) -> None:
    """Raise `BadFile` when the target cannot be written or the disk is too small."""
    folder = plan.out.resolve().parent
    if not folder.is_dir():
        raise BadFile(f"{folder} is not a folder; make it or choose another --out.")
    if plan.out.is_dir():
        raise BadFile(f"{plan.out} is a folder; name a file with --out.")
    free = shutil.disk_usage(folder).free
    if free < plan.size:
        raise BadFile(
            f"{plan.out} needs {plan.size / 1e9:.2f} GB, but only {free / 1e9:.2f} GB are free there; free some, choose another "
            "--out or a smaller --quant."
        )


class _Report:
    """Counts what is written, tells the listener, and asks whether to stop."""

    def __init__(
        self, plan: ConversionPlan, on_progress: ProgressListener | None, cancelled: Callable[[], bool] | None
    ) -> None:
        self._plan = plan
        self._listener = on_progress
        self._cancelled = cancelled
        self._start = self._last = time.monotonic()
        self.bytes = 0
        self.tensors = 0

    def check(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The conversion was stopped; nothing was written.")

    def wrote(self, count: int, tensor: str) -> None:
        self.bytes += count
        now = time.monotonic()
        if self._listener is None or (now - self._last < _PROGRESS_SECONDS and self.bytes < self._plan.size):
            return
        self._last = now
        speed = self.bytes / max(now - self._start, 1e-6)
        left = (self._plan.size - self.bytes) / speed if self.bytes else None
        total = len(self._plan.tensors)
        self._listener(Progress(self.bytes, self._plan.size, self.tensors, total, tensor, speed, left))


def _write_file(plan: ConversionPlan, checkpoint: Checkpoint, threads: int, report: _Report) -> None:
    """Write under a temporary name beside the target, flush to the disk, then rename."""
    temporary = plan.out.with_name(f".{plan.out.name}.part")
    try:
        with temporary.open("wb") as file:
            _write_tensors(plan, checkpoint, threads, report, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(plan.out)
    except OSError as error:
        raise BadFile(f"{plan.out} cannot be written: {error.strerror or error}; choose another --out.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_tensors(plan: ConversionPlan, checkpoint: Checkpoint, threads: int, report: _Report, file: BinaryIO) -> None:
    file.write(plan.layout.head)
    report.wrote(len(plan.layout.head), "")
    window: deque[tuple[Future[np.ndarray], _Piece]] = deque()
    with ThreadPoolExecutor(threads, "quantize") as pool:
        try:
            for piece in _pieces(plan, checkpoint):
                report.check()
                window.append((pool.submit(_encode, piece), piece))
                while len(window) > 2 * threads:
                    _write_next(window, checkpoint, report, file)
            while window:
                report.check()
                _write_next(window, checkpoint, report, file)
        finally:
            for future, _ in window:
                future.cancel()


@dataclass(frozen=True)
class _Piece:
    """Rows of one tensor."""

    placed: PlacedTensor
    rows: np.ndarray
    """[n, row length] in the stored dtype."""
    last: bool = False
    """The tensor is complete after this piece."""
    sources: tuple[str, ...] = ()
    """What the last piece gives back."""
    padding: int = 0


def _pieces(plan: ConversionPlan, checkpoint: Checkpoint) -> Iterator[_Piece]:
    """Yield all tensors' pieces in the file's order; a tensor is read when its first piece is asked for."""
    for tensor, placed in zip(plan.tensors, plan.layout.tensors, strict=True):
        values = _made(tensor, checkpoint)
        rows = values.reshape(-1, values.shape[-1])
        step = max(1, _PIECE_ELEMENTS // rows.shape[1])
        last = (len(rows) - 1) // step * step
        names = tuple(source.name for source in tensor.sources)
        for start in range(0, last, step):
            yield _Piece(placed, rows[start : start + step])
        yield _Piece(placed, rows[last:], True, names, aligned(placed.size) - placed.size)


def _made(tensor: OutputTensor, checkpoint: Checkpoint) -> np.ndarray:
    arrays = [checkpoint.read(source.name) for source in tensor.sources]
    values = arrays[0] if tensor.transform is None else tensor.transform(*arrays)
    if values.shape != tensor.shape:
        raise ZhiyinError(
            f"Tensor {tensor.name} became {_shape(values.shape)} instead of {_shape(tensor.shape)}; report this."
        )
    return values


def _encode(piece: _Piece) -> np.ndarray:
    """Return the piece's bytes in the file: uint8 [n, row bytes]."""
    type_ = piece.placed.type
    if _NUMPY_TYPES.get(piece.rows.dtype.name) is type_:
        return np.ascontiguousarray(piece.rows).view(np.uint8)
    out = np.empty((len(piece.rows), row_bytes(type_, piece.rows.shape[1])), np.uint8)
    quantize(widen(piece.rows), type_, out)
    return out


def _write_next(
    window: deque[tuple[Future[np.ndarray], _Piece]], checkpoint: Checkpoint, report: _Report, file: BinaryIO
) -> None:
    future, piece = window.popleft()
    data = future.result()
    file.write(data.data)
    file.write(bytes(piece.padding))
    for name in piece.sources:
        checkpoint.release(name)
    report.tensors += piece.last
    report.wrote(data.nbytes + piece.padding, piece.placed.name)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
