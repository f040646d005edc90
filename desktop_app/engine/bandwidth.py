"""How fast this computer reads weights: ggml's own matrix products over more memory than the caches hold.

Writing one token reads every weight once, so bytes per second here, for each quantized type, foretell tokens per second. A
plain copy would not: on few cores the arithmetic of small types is slower than the memory.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.ggml import quantize, row_bytes
from desktop_app.engine.backends import has_working_repack
from desktop_app.engine.graph.builder import Context, Tensor
from desktop_app.engine.graph.devices import Buffers, cpu_device
from desktop_app.engine.graph.library import InitParams, ggml, ggml_cpu
from desktop_app.engine.graph.repacking import rearranging_memory
from desktop_app.small_files import Parsed, SmallFile
from desktop_app.system.threads import thread_counts, usual_threads

_TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q4_1", "IQ4_XS", "Q3_K", "Q2_K")
_ALIKE = {"BF16": "F16", "Q5_1": "Q5_0", "IQ4_NL": "Q4_0", "MXFP4": "Q4_0"}
"""Types that are not measured -> those with as many bits and the same kind of arithmetic."""
_SECONDS = 0.05
"""For each type; with what comes before, all take about one and a half seconds."""
_UNDISTURBED = 0.8
"""A smaller part of the cores' time tells of other programs, not of this computer."""
_WORTH_MORE_THREADS = 1.1
"""Times as fast: what computing on slow cores too must bring, for they are taken from other programs."""
_TRIES = 3
"""Measurements beside busy programs before anything is said."""
_COLUMNS = 4096
_ROWS = 4096
_WEIGHT_BYTES = 96 * 1024 * 1024
"""More than a laptop's caches hold: several matrices of a usual size."""
_CONTEXT_BYTES = 4 * 1024 * 1024
"""For the graph and the products."""
_WORK_BYTES = 64 * 1024 * 1024
"""For what the threads of one round compute in: about 500 kB for each of K-quants; untouched memory costs nothing."""


@dataclass(frozen=True)
class ReadSpeed:
    """Bytes of weights per second that the cores together read, by ggml type."""

    by_type: dict[str, float]
    threads: int = 0
    """That read them: the number that is fastest here; 0: not known."""
    processor_share: float = 1.0
    """Part of the cores' time that the measurement got; others had the rest."""

    @property
    def disturbed(self) -> bool:
        """Other programs were too busy for a true picture: this computer is faster than that."""
        return self.processor_share < _UNDISTURBED

    def of(self, type_name: str) -> float:
        """Return the speed of a type, or of the slowest one where it was not measured."""
        return self.by_type.get(_ALIKE.get(type_name, type_name), min(self.by_type.values()))


def read_speed(cache: Path) -> ReadSpeed:
    """Return the speed measured on this computer before, or measure it now (about a second).

    It is kept in `cache`. Where other programs were too busy it is measured a few times and again whenever it is asked for: they
    only ever make it slower, so the fastest that was seen of each type is the nearest to the truth.
    """
    stored = _stored(cache)
    speed = stored or measure()
    for _ in range(_TRIES - 1 if stored is None else 1):
        if speed.disturbed:
            speed = _fastest(speed, measure())
    if speed != stored:
        keep_speed(cache, speed)
    return speed


def keep_speed(cache: Path, speed: ReadSpeed) -> None:
    """Store what was measured on this computer for `known_speed`; a full disk only has it measured again."""
    computer = _this_computer()

    def faster(stored: _Measured | None) -> _Measured:
        """Another process may have measured meanwhile."""
        known = None if stored is None else stored.on(computer)
        return _Measured(computer, speed if known is None else _fastest(known, speed))

    with suppress(OSError):
        _file(cache).change(faster)


def known_speed(cache: Path) -> ReadSpeed | None:
    """Return the speed measured on this computer before; None: it never was, or beside busy programs only."""
    stored = _stored(cache)
    return None if stored is None or stored.disturbed else stored


@dataclass(frozen=True)
class _Measured:
    """What the file holds."""

    computer: str
    speed: ReadSpeed

    def on(self, computer: str) -> ReadSpeed | None:
        """Return the speed, None: it is another computer's, or was measured before all of today's types were."""
        return self.speed if self.computer == computer and self.speed.by_type.keys() >= set(_TYPES) else None


def _file(cache: Path) -> SmallFile[_Measured | None]:
    return SmallFile(cache, lambda: None, _parsed, _facts)


def _stored(cache: Path) -> ReadSpeed | None:
    measured = _file(cache).read()
    return None if measured is None else measured.on(_this_computer())


def _facts(measured: _Measured | None) -> dict[str, Any]:
    if measured is None:
        return {}
    speed = measured.speed
    return {
        "computer": measured.computer,
        "bytes_per_second": speed.by_type,
        "threads": speed.threads,
        "processor_share": speed.processor_share,
    }


def _parsed(stored: Any) -> Parsed[_Measured | None]:
    computer, speeds, threads = stored["computer"], stored["bytes_per_second"], stored["threads"]
    share = float(stored["processor_share"])
    speed = ReadSpeed({name: float(value) for name, value in speeds.items()}, threads, share)
    numbers_are_good = all(0 < value < math.inf for value in speed.by_type.values()) and 0 <= share < math.inf
    if not (isinstance(computer, str) and speeds and type(threads) is int and threads >= 0 and numbers_are_good):
        raise ValueError(stored)
    return Parsed(_Measured(computer, speed))


def _fastest(one: ReadSpeed, other: ReadSpeed) -> ReadSpeed:
    speeds = {name: max(speed, other.by_type[name]) for name, speed in one.by_type.items()}
    return replace(max(one, other, key=lambda speed: speed.processor_share), by_type=speeds)


def _this_computer() -> str:
    return f"{platform.node()}, {platform.machine()}, {usual_threads()} threads"


def measure() -> ReadSpeed:
    """Measure all types: products of more matrices than the caches hold with a vector, again and again.

    The matrices lie in memory as a loaded model's do, rearranged for the processor where ggml does that.
    """
    from desktop_app.engine.llama.log import begin_log  # imports llama_cpp, which takes half a second

    begin_log()  # or ggml would print what it rearranges
    threads = _fastest_threads(thread_counts())
    found = {name: _measure_type(GGMLQuantizationType[name], threads) for name in _TYPES}
    share = median(share for _, share in found.values())
    return ReadSpeed({name: speed for name, (speed, _) in found.items()}, threads, share)


def _fastest_threads(counts: Sequence[int]) -> int:
    """Return the number of threads that reads the most usual type fastest; a larger one has to be worth its cores."""
    best, *larger = counts
    for count in larger:
        speeds = [_measure_type(GGMLQuantizationType.Q4_K, threads)[0] for threads in (best, count)]
        if speeds[1] > _WORTH_MORE_THREADS * speeds[0]:
            best = count
    return best


def _measure_type(type_: GGMLQuantizationType, threads: int) -> tuple[float, float]:
    """Return bytes per second, and the part of the cores' time that it got."""
    size = _ROWS * row_bytes(type_, _COLUMNS)
    count = max(1, _WEIGHT_BYTES // size)
    with (
        Context(count) as names,
        closing(Buffers()) as buffers,
        _memory(_CONTEXT_BYTES) as data,
        _memory(_WORK_BYTES) as work,
    ):
        weights = [names.new(type_, _COLUMNS, _ROWS) for _ in range(count)]
        buffers.allocate(names, _memory_of_weights(type_), weights=True)
        _lay_together(ggml().ggml_get_data(weights[0].pointer), count * size)
        numbers = np.random.default_rng(0).standard_normal((1, _COLUMNS), np.float32)
        row = np.empty((1, size // _ROWS), np.uint8)
        quantize(numbers, type_, row)
        matrix = row.repeat(_ROWS, axis=0)
        for weight in weights:
            weight.write(matrix)
        graph = _products(data, weights, numbers)

        def compute() -> None:
            ggml().ggml_reset(work)  # or the threads' work space of every round would be added to the one before
            ggml_cpu().ggml_graph_compute_with_ctx(work, graph, threads)

        seconds, cores = _timed(compute)
        return count * size / seconds, cores / threads


def _products(data: int, weights: Sequence[Tensor], numbers: np.ndarray) -> int:
    """Return a graph of the products of all weights with one vector."""
    c = ggml()
    vector = c.ggml_new_tensor_1d(data, int(GGMLQuantizationType.F32), _COLUMNS)
    ctypes.memmove(c.ggml_get_data(vector), numbers.ctypes.data, numbers.nbytes)
    graph = c.ggml_new_graph_custom(data, 2 * len(weights), False)
    for weight in weights:
        c.ggml_build_forward_expand(graph, c.ggml_mul_mat(data, weight.pointer, vector))
    return int(graph)


def _memory_of_weights(type_: GGMLQuantizationType) -> int:
    """Return the kind of memory in which the runners hold weights of a type on this processor."""
    special = rearranging_memory(cpu_device(), type_, (_ROWS, _COLUMNS)) if has_working_repack() else None
    return special or int(ggml().ggml_backend_dev_buffer_type(cpu_device()))


def _lay_together(address: int, size: int) -> None:
    """Ask for large pages: a model's gigabytes lie in long stretches of memory, these few megabytes would in what is left over.

    In a virtual machine scattered pages are read a fifth slower.
    """
    if sys.platform == "linux":
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(address + size - start), mmap.MADV_HUGEPAGE)


def _timed(compute: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that something takes when little disturbs it, and the cores that it kept busy."""
    times: list[tuple[float, float]] = []
    began, used = time.perf_counter(), time.process_time()
    end = began + _SECONDS
    while not times or times[-1][1] < end:
        start = time.perf_counter()
        compute()
        now = time.perf_counter()
        times.append((now - start, now))
    cores = (time.process_time() - used) / (times[-1][1] - began)
    fastest = sorted(seconds for seconds, _ in times)
    return fastest[len(fastest) // 4], cores


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
