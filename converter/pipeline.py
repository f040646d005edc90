"""Checkpoint to GGUF in one pass: read, transform, quantize and write, in bounded memory.

Tensors are cut into pieces of rows. Worker threads widen and quantize pieces (libggml runs without the GIL) while this thread
reads ahead and writes them in their order; only a few pieces are in memory at a time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import replace_file, sync, unfinished_folder
from converter.checkpoint import Checkpoint, shape_text
from converter.checkpoint.adapter_folder import is_adapter
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.lora import Adapter
from converter.checkpoint.merged import MergedCheckpoint
from converter.checkpoint.open import read_config
from converter.checkpoint.prepared import open_prepared
from converter.checkpoint.source_file import FileState, JoinedRows, Rows, StoredRows
from converter.ggml import dequantize, quantize, widen
from converter.ggml_types import row_bytes
from converter.gguf_header import is_gguf, is_named_gguf, model_path, part_paths
from converter.gguf_writer import PlacedTensor, aligned
from converter.lora_file import plan_adapter
from converter.merging import open_merged
from converter.plan import ConversionPlan, Convertible, ConvertRequest, Part, plan_conversion
from converter.progress import Meter, Phase, Progress, ProgressListener
from converter.verify import Verification, not_what_was_written, verify
from models.errors import BadFile, Cancelled, ZhiyinError
from models.families import family_of
from models.family import OutputTensor, Transform
from models.gguf_constants import GGMLQuantizationType
from models.layers import cut_rows, is_stacked, row_order
from models.regular_file import open_regular
from models.sentence import Sentence
from models.system_reasons import system_reason

__all__ = ["ConversionPlan", "ConversionResult", "ConvertRequest", "Progress", "convert", "plan"]

_PIECE_ELEMENTS = 2 * 1024 * 1024
_SAMPLED = 8
"""Rows that `sampled_rows` reads side by side."""
_NUMPY_TYPES = {
    "float32": GGMLQuantizationType.F32,
    "float16": GGMLQuantizationType.F16,
    "bfloat16": GGMLQuantizationType.BF16,
}


@dataclass(frozen=True)
class ConversionResult:
    """The files of a conversion."""

    path: Path
    architecture: str
    quant: str
    size: int
    tensors: int
    seconds: float
    warnings: tuple[Sentence, ...]
    parts: tuple[Path, ...]
    """All files; `path` is the first."""
    verification: Verification
    steps: tuple[Sentence, ...] = ()
    """What was merged: `ConversionPlan.steps`."""


def convert(
    wanted: ConvertRequest | ConversionPlan,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
    smoke_load: Callable[[Path], Sentence] | None = None,
    work: Path | None = None,
) -> ConversionResult:
    """Convert a checkpoint; the file appears whole or not at all.

    Args:
        wanted: what to convert, or a finished plan of it.
        on_progress: hears of progress about ten times a second, on this thread.
        cancelled: asked between pieces; True ends the work.
        smoke_load: given the finished file before it gets its name: runs it, says how that went, or raises to have it
            thrown away.
        work: the `unfinished_folder` of a caller who has the target already; None: it is made here.

    Raises:
        ZhiyinError: one sentence; nothing is left behind.
    """
    start = time.monotonic()
    request = wanted if isinstance(wanted, ConvertRequest) else wanted.request
    checkpoint = _open(request)
    try:
        plan = _plan(request, checkpoint) if isinstance(wanted, ConvertRequest) else wanted
        _check_target(plan, request)
        checkpoint.check()
        report = Report(plan, on_progress, cancelled)
        with _work_folder(plan, work) as folder:
            written = _write_files(plan, checkpoint, request.threads or os.cpu_count() or 1, report, smoke_load, folder)
    finally:
        checkpoint.close()
    return result_of(plan, written, time.monotonic() - start)


def plan(request: ConvertRequest) -> ConversionPlan:
    """Return what `convert` would do, reading headers only."""
    with opened(request) as (_, planned):
        return planned


@contextmanager
def opened(request: ConvertRequest) -> Iterator[tuple[Checkpoint, ConversionPlan]]:
    """Lend a request's checkpoint and its plan."""
    checkpoint = _open(request)
    try:
        yield checkpoint, _plan(request, checkpoint)
    finally:
        checkpoint.close()


def _open(request: ConvertRequest) -> Checkpoint:
    """Open a checkpoint, after refusing a configuration that nothing can be done with."""
    source = request.source
    if request.as_adapter:
        return Adapter(request.lora[0]).weights
    if request.lora:
        return open_merged(source, request.lora, request.weights)
    if is_adapter(source):
        raise BadFile(
            "{path} is an adapter; merge it into its model by `zhiyin convert {path} --base MODEL`.", path=source
        )
    if is_named_gguf(source):
        return GGUFFile(source)
    if (source / "config.json").is_file():
        family_of(read_config(source), tensors_decide=True)
    return open_prepared(source, request.weights)


def _plan(request: ConvertRequest, checkpoint: Checkpoint) -> ConversionPlan:
    if request.as_adapter:
        return plan_adapter(request)
    assert isinstance(checkpoint, Convertible)  # noqa: S101 - `_open` returns nothing else
    return plan_conversion(request, checkpoint)


def _check_target(plan: ConversionPlan, request: ConvertRequest) -> None:
    """Raise `BadFile` when the target is no place for a file, or is a file that is read."""
    folder = plan.out.absolute().parent
    if not folder.is_dir():
        raise BadFile("{folder} is not a folder; make it or choose another --out.", folder=folder)
    for path in (plan.out.with_name(part.name) for part in plan.parts):
        if path.is_dir():
            raise BadFile("{path} is a folder; name a file with --out.", path=path)
        if path.exists() and not path.is_file():  # a device: it would be replaced by a file
            raise BadFile("{path} is not an ordinary file; choose another --out.", path=path)
        if path.exists() and any(source.samefile(path) for source in _source_files(request)):
            raise BadFile("{path} is a file of the source, which would be overwritten; choose another name.", path=path)


def _source_files(request: ConvertRequest) -> Iterator[Path]:
    """Yield the files that a conversion reads; a GGUF file in a checkpoint's folder is none, but may be the last result."""
    named = (request.source, request.tokenizer, request.imatrix, *request.lora)
    for path in (Path(name) for name in named if name is not None and name != "none"):
        if path.is_dir():
            yield from (file for file in path.iterdir() if file.is_file() and not is_gguf(file))
        elif path.is_file():
            yield from filter(Path.is_file, part_paths(path))


def _check_room(plan: ConversionPlan) -> None:
    """Raise `BadFile` when the disk is too small."""
    missing = plan.size - shutil.disk_usage(plan.out.absolute().parent).free
    if missing > 0:
        raise BadFile(
            "There is too little room for {path}; free {missing:size} there, choose another --out or a smaller --quant.",
            path=plan.out,
            missing=missing,
        )


class Report(Meter):
    """Counts what is written, tells the listener, and asks whether to stop."""

    def __init__(
        self,
        plan: ConversionPlan,
        on_progress: ProgressListener | None,
        cancelled: Callable[[], bool] | None,
        phase: Phase = "converting",
        resumed: int = 0,
    ) -> None:
        super().__init__(on_progress, plan.size, plan.tensors, phase, resumed=resumed)
        self._plan, self._on_progress, self._cancelled = plan, on_progress, cancelled

    def checking(self) -> Report:
        """Return the report of the reading that follows; headers are compared before it."""
        headers = sum(len(part.layout.header) for part in self._plan.parts)
        return type(self)(self._plan, self._on_progress, self._cancelled, "checking", headers)

    def check(self) -> None:
        """Raise `Cancelled` where the work is to end."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The conversion was stopped; nothing was written.")

    def checked(self, name: str, size: int) -> None:
        """Note that a tensor of the finished file was read."""
        self.check()
        self.items += 1
        self.add(aligned(size), name)


@contextmanager
def _work_folder(plan: ConversionPlan, given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    try:
        with unfinished_folder(model_path(plan.out)) as folder:
            yield folder
    except OSError as error:
        raise _unwritable(plan, error) from error


def _unwritable(plan: ConversionPlan, error: OSError) -> BadFile:
    return BadFile(
        "{path} cannot be written: {reason}; choose another --out.", path=plan.out, reason=system_reason(error)
    )


def _write_files(
    plan: ConversionPlan,
    checkpoint: Checkpoint,
    threads: int,
    report: Report,
    smoke_load: Callable[[Path], Sentence] | None,
    folder: Path,
) -> Verification:
    """Write into a folder of this process alone, flush to the disk, read back and try; then the same files get their names."""
    try:
        _check_room(plan)
        paths = [folder / part.name for part in plan.parts]
        for part, path in zip(plan.parts, paths, strict=True):
            with path.open("xb") as file:
                file.write(part.layout.header)
                report.add(len(part.layout.header), "")
                write_tensors(plan, part, checkpoint, threads, report, file)
                file.flush()
                sync(file.fileno())
        checkpoint.check()
        return finish(plan, paths, threads, report, smoke_load)
    except OSError as error:
        raise _unwritable(plan, error) from error


def finish(
    plan: ConversionPlan,
    paths: Sequence[Path],
    threads: int,
    report: Report,
    smoke_load: Callable[[Path], Sentence] | None,
) -> Verification:
    """Read back and try what was written, a file for each part of the plan; then the same files get their names.

    Raises:
        BadFile: they are not what was to be written, or cannot be run.
        OSError: the system refuses.
    """
    files = [(path, part.layout) for path, part in zip(paths, plan.parts, strict=True)]
    with _unchanged(paths):
        verification = verify(files, threads, report.checking().checked)
        if smoke_load is not None:
            verification = replace(verification, smoke_load=smoke_load(paths[0]))
    _publish(plan, paths)
    return verification


def result_of(plan: ConversionPlan, verification: Verification, seconds: float) -> ConversionResult:
    """Return the facts of a conversion that took so long."""
    return ConversionResult(
        path=plan.out,
        architecture=plan.architecture,
        quant=plan.recipe.name,
        size=plan.size,
        tensors=plan.tensors,
        seconds=seconds,
        warnings=plan.warnings,
        parts=tuple(plan.out.with_name(part.name) for part in plan.parts),
        verification=verification,
        steps=plan.steps,
    )


@contextmanager
def _unchanged(paths: Sequence[Path]) -> Iterator[None]:
    """Raise `BadFile` where a file is not the same one with the same content afterwards; they are held open meanwhile."""
    with ExitStack() as stack:
        files = [stack.enter_context(open_regular(path)) for path in paths]
        states = [FileState.of(file) for file in files]
        yield
        for path, file, state in zip(paths, files, states, strict=True):
            if not FileState.of(file) == FileState.at(path) == state:
                raise not_what_was_written(path)


def _publish(plan: ConversionPlan, paths: Sequence[Path]) -> None:
    """Give files their names, the first part last: a split model is there when its first part is."""
    first, *others = ((path, plan.out.with_name(part.name)) for path, part in zip(paths, plan.parts, strict=True))
    if others:  # an earlier model of the same name never has parts of both
        first[1].unlink(missing_ok=True)
    for path, target in (*others, first):
        replace_file(path, target)


def write_tensors(
    plan: ConversionPlan,
    part: Part,
    checkpoint: Checkpoint,
    threads: int,
    report: Report,
    file: BinaryIO,
    names: Collection[str] | None = None,
) -> None:
    """Write a part's tensors to their places behind its header.

    Args:
        plan: what is written.
        part: of it.
        checkpoint: where the tensors are made from.
        threads: how many quantize at once.
        report: counts.
        file: the part's file.
        names: which tensors; None: all.
    """
    window: deque[tuple[Future[np.ndarray], _Piece]] = deque()
    with ThreadPoolExecutor(threads, "quantize") as pool:
        try:
            for piece in _pieces(plan, part, checkpoint, names):
                report.check()
                window.append((pool.submit(_encode, piece), piece))
                while len(window) > 2 * threads:
                    _write_next(window, report, file)
            while window:
                report.check()
                _write_next(window, report, file)
        finally:
            for future, _ in window:
                future.cancel()


@dataclass(frozen=True)
class _Rows:
    """A whole tensor, cut into rows."""

    values: Rows
    """[n, row length] in the stored dtype, or uint8 [n, row bytes] of `encoding`."""
    length: int
    """Elements of a row."""
    encoding: GGMLQuantizationType | None = None
    transform: Transform | None = None
    """Still to be applied, to any number of rows."""
    beside: tuple[Rows, ...] = ()
    """The same rows of the transform's further arguments."""

    def cut(self, start: int, end: int) -> _Rows:
        """Return the rows from `start` to `end`."""
        beside = tuple(values[start:end] for values in self.beside)
        return replace(self, values=self.values[start:end], beside=beside)


@dataclass(frozen=True)
class _Piece:
    """Rows of one tensor."""

    placed: PlacedTensor
    rows: _Rows
    importance: np.ndarray | None
    """float32 [row length]."""
    begin: int | None = None
    """Bytes from the start of the file to the tensor's first piece; None: it follows the one before it."""
    last: bool = False
    """The tensor is complete after this piece."""
    padding: int = 0


def _pieces(
    plan: ConversionPlan, part: Part, checkpoint: Checkpoint, names: Collection[str] | None
) -> Iterator[_Piece]:
    """Yield tensors' pieces in the file's order; a tensor is read when its first piece is asked for."""
    for tensor, placed in zip(part.tensors, part.layout.tensors, strict=True):
        if names is not None and tensor.name not in names:
            continue
        rows = _rows(tensor, placed.type, checkpoint)
        weights = None if plan.importance is None else plan.importance.of(tensor.name, tensor.shape)
        count = len(rows.values)
        # Each expert has an importance of its own: no piece crosses from one to the next.
        block = count if weights is None else count // len(weights)
        step = max(1, _PIECE_ELEMENTS // rows.length)
        for at in range(0, count, block or 1):
            chosen = None if weights is None else weights[at // block]
            for start in range(at, at + block, step):
                end = min(start + step, at + block)
                piece = rows.cut(start, end)
                begin = None if start else len(part.layout.header) + placed.offset
                padding = aligned(placed.size) - placed.size if end == count else 0
                yield _Piece(placed, piece, chosen, begin, end == count, padding)


def sampled_rows(tensor: OutputTensor, checkpoint: Checkpoint, most: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield rows from all over a tensor, some at a time: the first one's number, and float32 [some, row length].

    Args:
        tensor: of at least two dimensions.
        checkpoint: where it is made from.
        most: rows, together.
    """
    rows = _rows(
        tensor, GGMLQuantizationType.Q8_0, checkpoint
    )  # of a plain type it would return the bytes, to be copied
    count = len(rows.values)
    blocks = min(max(1, most // _SAMPLED), max(1, count // _SAMPLED))
    for block in range(blocks):
        start = block * count // blocks
        part = rows.cut(start, min(start + _SAMPLED, count))
        values = _widened(part)
        _check_finite(tensor.name, values)
        yield start, values


def _rows(tensor: OutputTensor, target: GGMLQuantizationType, checkpoint: Checkpoint) -> _Rows:
    length = tensor.shape[-1] if tensor.shape else 1
    if isinstance(checkpoint, GGUFFile):
        stored = checkpoint.types[tensor.name]
        if stored is target or stored not in _NUMPY_TYPES.values():
            return _Rows(checkpoint.encoded_rows(tensor.name), length, stored)
    later = tensor.transform if tensor.by_rows else None
    if isinstance(checkpoint, MergedCheckpoint) and len(tensor.sources) == 1:
        order = np.arange(tensor.shape[0]) if tensor.by_rows else row_order(tensor)
        merged = None if order is None else checkpoint.merged_rows(tensor.sources[0].name, order)
        if merged is not None:
            return _Rows(merged, length, transform=later)
    if tensor.by_rows:
        first, *beside = (checkpoint.rows(source.name) for source in tensor.sources)
        return _Rows(first, length, transform=later, beside=tuple(beside))
    rows = _unmoved(tensor, checkpoint, length)
    if rows is not None:
        return _Rows(rows, length)
    values = _made(tensor, checkpoint)
    return _Rows(values.reshape(-1, values.shape[-1]), length, tensor.encoding)


def _unmoved(tensor: OutputTensor, checkpoint: Checkpoint, length: int) -> Rows | None:
    """Return a tensor whose rows lie in the checkpoint as they are to be written; None: it has to be made."""
    if tensor.encoding is not None:
        return None
    if tensor.transform is None:
        return _flat(checkpoint.rows(tensor.sources[0].name), length)
    if is_stacked(tensor):
        return JoinedRows([_flat(checkpoint.rows(source.name), length) for source in tensor.sources])
    cut = cut_rows(tensor)
    if cut is None or len(tensor.sources[0].shape) != 2:
        return None
    part: Rows = checkpoint.rows(tensor.sources[0].name)[cut]
    return part


def _flat(rows: Rows, length: int) -> Rows:
    """Return the same elements as [n, length]; other kinds of rows are so already."""
    if isinstance(rows, StoredRows):
        return rows.flat(length)
    return rows.reshape(-1, length) if isinstance(rows, np.ndarray) else rows


def _made(tensor: OutputTensor, checkpoint: Checkpoint) -> np.ndarray:
    arrays = [checkpoint.read(source.name) for source in tensor.sources]
    values = arrays[0] if tensor.transform is None else tensor.transform(*arrays)
    row = tensor.shape[-1] if tensor.encoding is None else row_bytes(tensor.encoding, tensor.shape[-1])
    if values.shape != (*tensor.shape[:-1], row):
        raise ZhiyinError(
            "Tensor {tensor} became {found} instead of {wanted}; report this.",
            tensor=tensor.name,
            found=shape_text(values.shape),
            wanted=shape_text(tensor.shape),
        )
    return values


def _encode(piece: _Piece) -> np.ndarray:
    """Return the piece's bytes in the file: uint8 [n, row bytes]."""
    type_, length, encoding = piece.placed.type, piece.rows.length, piece.rows.encoding
    values = _transformed(piece.rows)
    if (_NUMPY_TYPES.get(values.dtype.name) if encoding is None else encoding) is type_:
        return np.ascontiguousarray(values).view(np.uint8)
    wide = widen(values) if encoding is None else dequantize(values, encoding, length)
    _check_finite(piece.placed.name, wide)
    if type_ is GGMLQuantizationType.F32:
        return wide.view(np.uint8)
    out = np.empty((len(values), row_bytes(type_, length)), np.uint8)
    quantize(wide, type_, out, piece.importance)
    return out


def _transformed(rows: _Rows) -> np.ndarray:
    values = np.asarray(rows.values)
    return values if rows.transform is None else rows.transform(values, *map(np.asarray, rows.beside))


def _widened(rows: _Rows) -> np.ndarray:
    """Return float32 [n, row length]."""
    values = _transformed(rows)
    return widen(values) if rows.encoding is None else dequantize(values, rows.encoding, rows.length)


def _check_finite(name: str, values: np.ndarray) -> None:
    """Raise `BadFile` for NaN or infinity, which quantizing would hide: blocks take their scale from the other values."""
    with np.errstate(all="ignore"):
        total = values.sum()  # one pass without a temporary array; a sum that overflowed is looked at again
    if not np.isfinite(total) and not np.isfinite(values).all():
        raise BadFile(
            "Tensor {tensor} holds NaN or infinity in the checkpoint, which is damaged; download it again.", tensor=name
        )


def _write_next(window: deque[tuple[Future[np.ndarray], _Piece]], report: Report, file: BinaryIO) -> None:
    future, piece = window.popleft()
    data = future.result()
    if piece.begin is not None and file.tell() != piece.begin:
        file.seek(piece.begin)
    file.write(data.data)
    file.write(bytes(piece.padding))
    report.items += piece.last
    report.add(data.nbytes + piece.padding, piece.placed.name)
