"""Memory bandwidth: ggml's own matrix products over more memory than the processor's caches hold.

Writing one token reads every weight once, so bytes per second here, for each quantized type, predict tokens per second. A
plain copy would not: on few cores the arithmetic of small types is slower than the memory.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from statistics import median

import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.ggml import quantize
from converter.ggml_types import row_bytes
from desktop_app.engine.backends import has_working_repack
from desktop_app.engine.graph.builder import Context, Tensor
from desktop_app.engine.graph.devices import Buffers, cpu_device
from desktop_app.engine.graph.library import InitParams, ggml, procedure
from desktop_app.engine.graph.repacking import repacking_buffer_type
from desktop_app.engine.llama.log import begin_log
from desktop_app.system.read_speed import TYPES, ReadSpeed
from desktop_app.system.threads import thread_counts

_SECONDS = 0.05
"""For each type; with what comes before, all take about one and a half seconds."""
_WORTH_MORE_THREADS = 1.1
"""Times as fast: what computing on slow cores too must bring, for they are taken from other programs."""
_COLUMNS = 4096
_ROWS = 4096
_WEIGHT_BYTES = 96 * 1024 * 1024
"""More than a laptop's caches hold: several matrices of a usual size."""
_CONTEXT_BYTES = 4 * 1024 * 1024
"""For the graph and the products."""


def measure() -> ReadSpeed:
    """Measure all types: products of more matrices than the caches hold with a vector, again and again.

    The matrices lie in memory as a loaded model's do, repacked for the processor where ggml does that.
    """
    begin_log()  # or ggml would print what it repacks
    threads = _fastest_threads(thread_counts())
    found = {name: _measure_type(GGMLQuantizationType[name], threads) for name in TYPES}
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
        _processor(threads) as processor,
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

        seconds, cores = _timed(lambda: ggml().ggml_backend_graph_compute(processor, graph))
        return count * size / seconds, cores / threads


@contextmanager
def _processor(threads: int) -> Iterator[int]:
    """Lend ggml's processor with a number of threads; its library may be a plug-in, whose own functions are not exported."""
    device = cpu_device()
    backend = ggml().ggml_backend_dev_init(device, None)
    set_threads = procedure(device, "ggml_backend_set_n_threads", "-pi")
    if set_threads is not None:
        set_threads(backend, threads)
    try:
        yield backend
    finally:
        ggml().ggml_backend_free(backend)


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
    """Return the buffer type in which the runners hold weights of a type on this processor."""
    special = repacking_buffer_type(cpu_device(), type_, (_ROWS, _COLUMNS)) if has_working_repack() else None
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
