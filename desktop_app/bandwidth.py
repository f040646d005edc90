"""How fast this computer reads weights: ggml's own dot products over more memory than the caches hold.

Writing one token reads every weight once, so bytes per second here, for each quantized type, foretell tokens per second. A
plain copy would not: on few cores the arithmetic of small types is slower than the memory.
"""

from __future__ import annotations

import ctypes
import json
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.ggml import load_library, quantize, row_bytes
from desktop_app.engine.threads import physical_cores

_TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q4_1", "IQ4_XS", "Q3_K", "Q2_K")
_ALIKE = {"BF16": "F16", "Q5_1": "Q5_0", "IQ4_NL": "Q4_0"}
"""Types that are not measured -> those with as many bits and the same kind of arithmetic."""
_SECONDS = 0.08
"""For each type; together about one second."""
_ELEMENTS = 1 << 18
"""Of one dot product: long enough that Python's share is small, short enough that the other side stays in a core's cache."""
_BUFFER_BYTES = 96 * 1024 * 1024
"""Of each thread."""


class _Traits(ctypes.Structure):
    """`struct ggml_type_traits_cpu` of ggml/include/ggml-cpu.h."""

    _fields_ = (
        ("from_float", ctypes.c_void_p),
        ("vec_dot", ctypes.c_void_p),
        ("vec_dot_type", ctypes.c_int),
        ("nrows", ctypes.c_int64),
    )


_VecDot = ctypes.CFUNCTYPE(
    None,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
)


@dataclass(frozen=True)
class ReadSpeed:
    """Bytes of weights per second that all cores together read, by ggml type."""

    by_type: dict[str, float]

    def of(self, type_name: str) -> float:
        """Return the speed of a type, or of the slowest one where it was not measured."""
        return self.by_type.get(_ALIKE.get(type_name, type_name), min(self.by_type.values()))


def read_speed(cache: Path) -> ReadSpeed:
    """Return the speed measured on this computer before, or measure it now (about a second) and keep it in `cache`."""
    key = f"{platform.node()}, {platform.machine()}, {physical_cores()} cores"
    try:
        stored = json.loads(cache.read_text("utf-8"))
        if stored["computer"] == key:
            return ReadSpeed({name: float(stored["bytes_per_second"][name]) for name in _TYPES})
    except (OSError, ValueError, KeyError, TypeError):
        pass
    measured = measure()
    cache.write_text(json.dumps({"computer": key, "bytes_per_second": measured.by_type}), "utf-8")
    return measured


def measure() -> ReadSpeed:
    """Measure all types."""
    library = load_library("ggml-cpu")
    library.ggml_cpu_init()
    library.ggml_get_type_traits_cpu.restype = ctypes.POINTER(_Traits)
    threads = physical_cores()
    buffers = [np.empty(_BUFFER_BYTES, np.uint8) for _ in range(threads)]
    return ReadSpeed({name: _measure_type(library, GGMLQuantizationType[name], buffers) for name in _TYPES})


def _measure_type(library: ctypes.CDLL, type_: GGMLQuantizationType, buffers: list[np.ndarray]) -> float:
    traits = library.ggml_get_type_traits_cpu(int(type_)).contents
    dot = _VecDot(traits.vec_dot)
    size = row_bytes(type_, _ELEMENTS)
    row = _encoded(type_)
    for buffer in buffers:
        buffer[: _BUFFER_BYTES // size * size].reshape(-1, size)[:] = row
    other = _encoded(GGMLQuantizationType(traits.vec_dot_type), library)
    done = [0.0] * len(buffers)
    start_together = threading.Barrier(len(buffers))

    def work(number: int) -> None:
        result = ctypes.c_float()
        first = buffers[number].ctypes.data
        places = [first + at for at in range(0, _BUFFER_BYTES - size, size)]
        start_together.wait()
        begin = now = time.perf_counter()
        count = 0
        while now - begin < _SECONDS:
            dot(_ELEMENTS, ctypes.addressof(result), 0, places[count % len(places)], 0, other.ctypes.data, 0, 1)
            count += 1
            now = time.perf_counter()
        done[number] = count * size / (now - begin)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(buffers))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done)


def _encoded(type_: GGMLQuantizationType, library: ctypes.CDLL | None = None) -> np.ndarray:
    """Return random numbers in a type, uint8: with plain bytes the arithmetic would meet denormal numbers, which are slow."""
    numbers = np.random.default_rng(0).standard_normal((1, _ELEMENTS), np.float32)
    out: np.ndarray = np.empty((1, row_bytes(type_, _ELEMENTS)), np.uint8)
    if library is None:
        quantize(numbers, type_, out)
    else:
        convert = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        traits = library.ggml_get_type_traits_cpu(int(type_)).contents
        convert(traits.from_float)(numbers.ctypes.data, out.ctypes.data, _ELEMENTS)
    return out.reshape(-1)
