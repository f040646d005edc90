"""Memory bandwidth and arithmetic: ggml's own matrix products over more memory than the processor's caches hold.

Writing one token reads every weight once, so seconds for each byte and each row here, for each quantized type, predict tokens
per second. A plain copy would not: on few cores the arithmetic of small types is slower than the memory.

Every thread multiplies on its own and counts its own processor time: other programs take turns with it, but the turns that they
take are not in its account. Threads that wait for each other, as in a model, would count the waiting too. They share the memory,
though, so what one does while another program has the place of the next one is faster than it will be in a model: the samples
count during which all of them ran.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np

from converter.ggml import quantize
from converter.ggml_types import row_bytes
from desktop_app.engine.backends import has_working_repack
from desktop_app.engine.graph.builder import Context, Tensor
from desktop_app.engine.graph.devices import Buffers, cpu_device
from desktop_app.engine.graph.library import InitParams, ggml, procedure
from desktop_app.engine.graph.repacking import repacking_buffer_type
from desktop_app.engine.llama.log import begin_log
from desktop_app.paths import data_folder
from desktop_app.system.read_speed import TYPES, ReadSpeed
from desktop_app.system.threads import thread_counts
from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType

_SECONDS = 0.03
"""Of processor time for each type, round and thread; with what comes before, all take about two seconds."""
_LONGEST = 0.25
"""For each type and round where other programs leave little processor time."""
_LEAST_SAMPLES = 12
"""Of each shape and thread."""
_ROUNDS = 2
"""Of all types: one after the other, so that what disturbs for a moment disturbs one of them."""
_WORTH_MORE_THREADS = 1.1
"""Times as fast: what computing on slow cores too must bring, for they are taken from other programs."""
_WEIGHT_BYTES = 96 * 1024 * 1024
"""More than a laptop's caches hold: several matrices of a usual size."""
_SAMPLE_BYTES = 4 * 1024 * 1024
"""Multiplied by at once: as much as is timed well and is over long before another program's turn."""
_CONTEXT_BYTES = 4 * 1024 * 1024
"""For the graphs and the products."""
_FINE_CLOCK = 1e-6
_ALONE = 1.1
"""Times its processor time that a sample may last: then no other program had a turn in it."""
_PAUSE = 0.0002
"""Seconds between two samples of a thread that still follow each other: Python's own work."""
_LEAST_COMPUTED = GGMLQuantizationType.F16


class _Shape(NamedTuple):
    columns: int
    rows: int


_SHAPES = (_Shape(4096, 4096), _Shape(512, 2048))
"""A large model's and a small one's: what a byte takes and what a row takes besides is told apart by them."""


def measure() -> ReadSpeed:
    """Measure all types: products of more matrices than the caches hold with a vector, again and again.

    The matrices lie where a loaded model's do: repacked for the processor where ggml does that, else in the pages of a file.
    Those of a large file lie side by side in memory, and are read up to 1.4 times as fast as a program's own.
    """
    begin_log()  # or ggml would print what it repacks
    threads = _fastest_threads(thread_counts())
    rounds = [{name: _measure_type(GGMLQuantizationType[name], threads) for name in TYPES} for _ in range(_ROUNDS)]
    speeds, rows = {}, {}
    for name in TYPES:
        seconds = [min(shape) for shape in zip(*(samples[name].together for samples in rounds), strict=True)]
        speeds[name], rows[name] = _told_apart(GGMLQuantizationType[name], seconds)
    large = [[samples[name].together[0] for samples in rounds] for name in TYPES]
    return ReadSpeed(
        speeds,
        threads,
        rows,
        spread=median(max(times) / min(times) for times in large),
        repacked=tuple(name for name in TYPES if _repacking(GGMLQuantizationType[name]) is not None),
        copied=_copied_speed(threads),
    )


def _copied_speed(threads: int) -> float:
    """Return how many bytes a second the memory gives that a program has of its own: F16 waits for it rather than computes."""
    seconds = min(_measure_type(_LEAST_COMPUTED, threads, copied=True).together[0] for _ in range(_ROUNDS))
    return _size(_LEAST_COMPUTED, _SHAPES[0]) / seconds


def _told_apart(type_: GGMLQuantizationType, seconds: Sequence[float]) -> tuple[float, float]:
    """Return bytes per second, and the seconds that each row takes besides, from those of both shapes' products."""
    sizes = [[shape.rows * row_bytes(type_, shape.columns), shape.rows] for shape in _SHAPES]
    of_a_byte, of_a_row = np.linalg.solve(sizes, seconds)
    if of_a_byte <= 0 or of_a_row <= 0:
        return sizes[0][0] / seconds[0], 0.0
    return float(1 / of_a_byte), float(of_a_row)


def _fastest_threads(counts: Sequence[int]) -> int:
    """Return the number of threads that reads the most usual type fastest; a larger one has to be worth its cores."""
    best, *larger = counts
    for count in larger:
        times = [_measure_type(GGMLQuantizationType.Q4_K, threads).in_step for threads in (best, count)]
        if _WORTH_MORE_THREADS * times[1] < times[0]:
            best = count
    return best


@dataclass(frozen=True)
class _Times:
    """Seconds of processor time that a product took each thread, for each of `_SHAPES`."""

    of_threads: Sequence[Sequence[float]]

    @property
    def together(self) -> list[float]:
        """Seconds of a product over all threads together."""
        return [1 / sum(1 / seconds for seconds in shape) for shape in zip(*self.of_threads, strict=True)]

    @property
    def in_step(self) -> float:
        """Seconds of a large product when all threads wait for the slowest."""
        return max(seconds[0] for seconds in self.of_threads) / len(self.of_threads)


def _measure_type(type_: GGMLQuantizationType, threads: int, *, copied: bool = False) -> _Times:
    """Measure products with matrices of both shapes in turn, in several threads at once.

    `copied`: in the program's own memory, as where other weights of a model are repacked.
    """
    with ExitStack() as stack:
        names = stack.enter_context(Context(sum(_counts(type_, threads)) * threads))
        weights = [
            [
                [names.new(type_, *shape) for _ in range(count)]
                for shape, count in zip(_SHAPES, _counts(type_, threads), strict=True)
            ]
            for _ in range(threads)
        ]
        pairs = (zip(_SHAPES, shapes, strict=True) for shapes in weights)
        matrices = [(shape, matrix) for pair in pairs for shape, some in pair for matrix in some]
        _bring_into_memory(type_, names, matrices, stack, copied=copied)
        workers = [_Worker(type_, shapes, stack) for shapes in weights]
        with ThreadPoolExecutor(threads) as pool:
            return _Times(_usual(list(pool.map(_Worker.measure, workers))))


class _Sample(NamedTuple):
    """Some products of one thread."""

    shape: int
    begin: float
    end: float
    seconds: float
    """Of processor time."""
    of_a_product: float
    """The same of each."""


def _usual(samples: Sequence[Sequence[_Sample]]) -> list[list[float]]:
    """Return the seconds that a product of each shape takes each thread when little disturbs it, while the others run too."""
    running = [_running(of_thread) for of_thread in samples]
    values = []
    for thread, of_thread in enumerate(samples):
        others = [spans for number, spans in enumerate(running) if number != thread]
        times: list[list[float]] = [[] for _ in _SHAPES]
        together: list[list[float]] = [[] for _ in _SHAPES]
        for sample in of_thread:
            times[sample.shape].append(sample.of_a_product)
            if all(_is_within(sample, spans) for spans in others):
                together[sample.shape].append(sample.of_a_product)
        pairs = zip(times, together, strict=True)
        values.append([_quartile(some if len(some) >= _LEAST_SAMPLES else every) for every, some in pairs])
    return values


def _quartile(times: list[float]) -> float:
    return sorted(times)[len(times) // 4]


def _running(samples: Sequence[_Sample]) -> list[tuple[float, float]]:
    """Return when a thread ran without giving way to another program: beginnings and ends, in their order."""
    spans: list[tuple[float, float]] = []
    for sample in samples:
        if sample.end - sample.begin > _ALONE * sample.seconds:
            continue
        if spans and sample.begin - spans[-1][1] < _PAUSE:
            spans[-1] = (spans[-1][0], sample.end)
        else:
            spans.append((sample.begin, sample.end))
    return spans


def _is_within(sample: _Sample, spans: Sequence[tuple[float, float]]) -> bool:
    index = bisect(spans, (sample.begin, math.inf)) - 1
    return index >= 0 and sample.end <= spans[index][1]


def _counts(type_: GGMLQuantizationType, threads: int) -> list[int]:
    """Return how many matrices of each shape a thread has."""
    part = _WEIGHT_BYTES // len(_SHAPES) // threads
    return [max(1, part // _size(type_, shape)) for shape in _SHAPES]


def _size(type_: GGMLQuantizationType, shape: _Shape) -> int:
    return shape.rows * row_bytes(type_, shape.columns)


def _bring_into_memory(
    type_: GGMLQuantizationType,
    names: Context,
    matrices: Sequence[tuple[_Shape, Tensor]],
    stack: ExitStack,
    *,
    copied: bool,
) -> None:
    """Give the matrices memory, as the runners do."""
    buffers = stack.enter_context(closing(Buffers()))
    kind = _repacking(type_)
    size = sum(_size(type_, shape) for shape, _ in matrices)
    address = _file_pages(size, stack) if kind is None and not copied else None
    if address is None:
        buffers.allocate(names, kind or int(ggml().ggml_backend_dev_buffer_type(cpu_device())), weights=True)
        _fill(type_, matrices)
        return
    pages = buffers.wrap(address, size)
    for shape, matrix in matrices:
        ggml().ggml_backend_tensor_alloc(pages, matrix.pointer, address)
        address += _size(type_, shape)


def _fill(type_: GGMLQuantizationType, matrices: Sequence[tuple[_Shape, Tensor]]) -> None:
    """Write the matrices: memory that nobody wrote to is not there."""
    for shape, matrix in matrices:
        row = np.empty((1, row_bytes(type_, shape.columns)), np.uint8)
        quantize(_numbers(shape), type_, row)
        matrix.write(row.repeat(shape.rows, axis=0))


def _numbers(shape: _Shape) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, shape.columns), np.float32)


def _file_pages(size: int, stack: ExitStack) -> int | None:
    """Return the address of a file of zeros, None: no file can be made here. It takes room on the disk while it is there."""
    try:
        file = stack.enter_context(tempfile.TemporaryFile(dir=data_folder()))  # noqa: SIM115 - the stack closes it
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # or a full disk would end the process as the pages are read
        else:
            file.truncate(size)
        pages = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ZhiyinError):
        return None
    view = np.frombuffer(pages, np.uint8)
    view[:: mmap.PAGESIZE].max(initial=0)
    stack.callback(lambda: view)  # the pages are there until then
    return int(view.ctypes.data)


class _Worker:
    """One thread's matrices, and graphs of some products each."""

    def __init__(self, type_: GGMLQuantizationType, shapes: Sequence[Sequence[Tensor]], stack: ExitStack) -> None:
        """Write the graphs down; the stack frees what is made."""
        data = stack.enter_context(_memory(_CONTEXT_BYTES))
        self._processor = stack.enter_context(_processor())
        self._graphs: list[tuple[int, int, int]] = []
        """Number of the shape, graph, products in it."""
        for number, (shape, weights) in enumerate(zip(_SHAPES, shapes, strict=True)):
            at_once = max(1, _SAMPLE_BYTES // _size(type_, shape))
            for start in range(0, len(weights), at_once):
                some = weights[start : start + at_once]
                self._graphs.append((number, _products(data, some, _numbers(shape)), len(some)))

    def measure(self) -> list[_Sample]:
        """Compute for a while; longer where other programs leave little processor time."""
        samples: list[_Sample] = []
        clock = _clock()
        for _ in self._round(clock):  # brings the memory to this core
            pass
        began, start = time.perf_counter(), clock()
        while True:
            samples += self._round(clock)
            fewest = min(Counter(sample.shape for sample in samples).values())
            enough = clock() - start > _SECONDS and fewest >= _LEAST_SAMPLES
            if enough or time.perf_counter() - began > _LONGEST:
                return samples

    def _round(self, clock: Callable[[], float]) -> Iterator[_Sample]:
        for shape, graph, products in self._graphs:
            begin, start = time.perf_counter(), clock()
            ggml().ggml_backend_graph_compute(self._processor, graph)
            seconds = clock() - start
            yield _Sample(shape, begin, time.perf_counter(), seconds, seconds / products)


def _clock() -> Callable[[], float]:
    """Return what counts a thread's processor time; Windows counts it in steps that are longer than a sample."""
    fine = time.get_clock_info("thread_time").resolution <= _FINE_CLOCK
    return time.thread_time if fine else time.perf_counter


@contextmanager
def _processor() -> Iterator[int]:
    """Lend ggml's processor with one thread; its library may be a plug-in, whose own functions are not exported."""
    device = cpu_device()
    backend = ggml().ggml_backend_dev_init(device, None)
    set_threads = procedure(device, "ggml_backend_set_n_threads", "-pi")
    if set_threads is not None:
        set_threads(backend, 1)
    try:
        yield backend
    finally:
        ggml().ggml_backend_free(backend)


def _products(data: int, weights: Sequence[Tensor], numbers: np.ndarray) -> int:
    """Return a graph of the products of all weights with one vector."""
    c = ggml()
    vector = c.ggml_new_tensor_1d(data, int(GGMLQuantizationType.F32), numbers.size)
    ctypes.memmove(c.ggml_get_data(vector), numbers.ctypes.data, numbers.nbytes)
    graph = c.ggml_new_graph_custom(data, 2 * len(weights), False)
    for weight in weights:
        c.ggml_build_forward_expand(graph, c.ggml_mul_mat(data, weight.pointer, vector))
    return int(graph)


def _repacking(type_: GGMLQuantizationType) -> int | None:
    """Return the buffer type in which the runners hold weights of a type repacked, None: they leave it as it is."""
    shape = _SHAPES[0]
    return repacking_buffer_type(cpu_device(), type_, (shape.rows, shape.columns)) if has_working_repack() else None


@contextmanager
def _memory(size: int) -> Iterator[int]:
    """Lend a context of ggml that owns its tensors' data."""
    context = ggml().ggml_init(InitParams(size, None, False))
    if not context:
        raise MemoryError
    try:
        yield context
    finally:
        ggml().ggml_free(context)
