"""How fast this computer reads weights: ggml's own matrix products over more memory than the caches hold.

Writing one token reads every weight once, so bytes per second here, for each quantized type, foretell tokens per second. A
plain copy would not: on few cores the arithmetic of small types is slower than the memory.
"""

from __future__ import annotations

import ctypes
import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.ggml import quantize, row_bytes
from desktop_app.engine.graph.library import InitParams, ggml, ggml_cpu
from desktop_app.engine.threads import physical_cores

_TYPES = ("F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q4_1", "IQ4_XS", "Q3_K", "Q2_K")
_ALIKE = {"BF16": "F16", "Q5_1": "Q5_0", "IQ4_NL": "Q4_0"}
"""Types that are not measured -> those with as many bits and the same kind of arithmetic."""
_SECONDS = 0.08
"""For each type; together about one second."""
_UNDISTURBED = 0.8
"""A smaller part of the cores' time tells of other programs, not of this computer."""
_COLUMNS = 4096
_MATRIX_BYTES = 96 * 1024 * 1024
"""More than a laptop's caches hold."""
_NODES = 8
_CONTEXT_BYTES = 16 * 1024 * 1024
"""For the graph and the threads' work space."""


@dataclass(frozen=True)
class ReadSpeed:
    """Bytes of weights per second that all cores together read, by ggml type."""

    by_type: dict[str, float]
    processor_share: float = 1.0
    """Part of the cores' time that the measurement got; others had the rest."""

    def of(self, type_name: str) -> float:
        """Return the speed of a type, or of the slowest one where it was not measured."""
        return self.by_type.get(_ALIKE.get(type_name, type_name), min(self.by_type.values()))


def read_speed(cache: Path) -> ReadSpeed:
    """Return the speed measured on this computer before, or measure it now (about a second).

    It is kept in `cache`, unless other programs were too busy for a true picture.
    """
    stored = known_speed(cache)
    if stored is not None:
        return stored
    measured = measure()
    if measured.processor_share >= _UNDISTURBED:
        keep_speed(cache, measured)
    return measured


def keep_speed(cache: Path, speed: ReadSpeed) -> None:
    """Store what was measured on this computer for `known_speed`."""
    cache.write_text(json.dumps({"computer": _this_computer(), "bytes_per_second": speed.by_type}), "utf-8")


def known_speed(cache: Path) -> ReadSpeed | None:
    """Return the speed measured on this computer before; None: it never was."""
    try:
        stored = json.loads(cache.read_text("utf-8"))
        if stored["computer"] == _this_computer():
            return ReadSpeed({name: float(stored["bytes_per_second"][name]) for name in _TYPES})
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _this_computer() -> str:
    return f"{platform.node()}, {platform.machine()}, {physical_cores()} cores"


def measure() -> ReadSpeed:
    """Measure all types: one product of a matrix larger than the caches with a vector, on all cores, again and again."""
    found = {name: _measure_type(GGMLQuantizationType[name]) for name in _TYPES}
    return ReadSpeed({name: speed for name, (speed, _) in found.items()}, median(share for _, share in found.values()))


def _measure_type(type_: GGMLQuantizationType) -> tuple[float, float]:
    """Return bytes per second, and the part of the cores' time that it got."""
    c = ggml()
    size = row_bytes(type_, _COLUMNS)
    rows = _MATRIX_BYTES // size
    context = c.ggml_init(InitParams(rows * size + _CONTEXT_BYTES, None, False))
    if not context:
        raise MemoryError
    try:
        weight = c.ggml_new_tensor_2d(context, int(type_), _COLUMNS, rows)
        vector = c.ggml_new_tensor_2d(context, int(GGMLQuantizationType.F32), _COLUMNS, 1)
        graph = c.ggml_new_graph_custom(context, _NODES, False)
        c.ggml_build_forward_expand(graph, c.ggml_mul_mat(context, weight, vector))
        numbers = np.random.default_rng(0).standard_normal((1, _COLUMNS), np.float32)
        encoded = np.empty((1, size), np.uint8)
        quantize(numbers, type_, encoded)
        _memory(weight, rows * size).reshape(rows, size)[:] = encoded
        _memory(vector, numbers.nbytes)[:] = numbers.view(np.uint8).reshape(-1)
        times: list[tuple[float, float]] = []
        began, used = time.perf_counter(), time.process_time()
        end = began + _SECONDS
        while not times or times[-1][1] < end:
            start = time.perf_counter()
            ggml_cpu().ggml_graph_compute_with_ctx(context, graph, physical_cores())
            now = time.perf_counter()
            times.append((now - start, now))
        share = (time.process_time() - used) / (times[-1][1] - began) / physical_cores()
        return rows * size / median(seconds for seconds, _ in times), share
    finally:
        c.ggml_free(context)


def _memory(tensor: int, size: int) -> np.ndarray:
    """Return a tensor's bytes as an array."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(ggml().ggml_get_data(tensor)))
