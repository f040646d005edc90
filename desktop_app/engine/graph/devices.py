"""Devices of the graph runner: ggml's backends with their memory, threads and the way to stop them."""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate

from desktop_app.engine.graph.builder import Builder, Context, Tensor
from desktop_app.engine.graph.library import ggml, procedure
from desktop_app.engine.runner import OutOfMemory
from desktop_app.engine.stop_flag import StopFlag

_CPU, _ACCELERATOR = 0, 3
"""GGML_BACKEND_DEVICE_TYPE_CPU and _ACCEL."""
_WEIGHTS = 1
"""GGML_BACKEND_BUFFER_USAGE_WEIGHTS: the scheduler brings operations to where their weights are."""
BUFFER_FIELD = 8
"""Offset of `buffer` in `struct ggml_tensor`, after `type` and its padding."""


class Buffers:
    """Memory that is freed together."""

    def __init__(self) -> None:
        """Begin empty."""
        self._stack = ExitStack()

    def allocate(self, context: Context, buffer_type: int, *, weights: bool = False) -> None:
        """Give all tensors of a context memory, filled with zeros unless they are `weights`.

        Raises:
            OutOfMemory: there is too little.
        """
        buffer = ggml().ggml_backend_alloc_ctx_tensors_from_buft(context.pointer, buffer_type)
        if not buffer:
            where = ggml().ggml_backend_buft_name(buffer_type).decode("utf-8", "replace")
            raise OutOfMemory(
                "The model does not fit in memory ({where}); choose a smaller context or quantization, or close "
                "other programs.",
                where=where,
            )
        self._stack.callback(ggml().ggml_backend_buffer_free, buffer)
        if weights:
            ggml().ggml_backend_buffer_set_usage(buffer, _WEIGHTS)
        else:
            ggml().ggml_backend_buffer_clear(buffer, 0)

    def wrap(self, address: int, size: int) -> int:
        """Make a buffer of memory that is there already, such as a mapped file, and return it."""
        buffer = int(ggml().ggml_backend_cpu_buffer_from_ptr(address, size))
        self._stack.callback(ggml().ggml_backend_buffer_free, buffer)
        ggml().ggml_backend_buffer_set_usage(buffer, _WEIGHTS)
        return buffer

    def close(self) -> None:
        """Free everything."""
        self._stack.close()


@dataclass(frozen=True)
class Placement:
    """Which device holds which layers."""

    layers: tuple[int, ...]
    """The device of each layer."""
    output: int
    """The device of the last norm and the head."""


class Backends:
    """All devices that take part, the CPU last."""

    def __init__(self, threads: int, stop: StopFlag, gpus: Sequence[tuple[int, float]]) -> None:
        """Start the backends: the CPU's and those of GPUs with their parts of the layers; see `engine.backends.devices_for`.

        Raises:
            OutOfMemory: a device has no room to start.
        """
        self.stop = stop
        self._stack = ExitStack()
        self.gpus = [device for device, _ in gpus]
        self._parts = [part for _, part in gpus]
        self.cpu = cpu_device()
        self._backends = [self._start(device, threads) for device in (*self.gpus, *_devices(_ACCELERATOR), self.cpu)]

    def place(self, layers: int, gpu_layers: int) -> Placement:
        """Spread the last `gpu_layers` layers (-1: all) over the GPUs as llama.cpp does; the head comes after the last layer.

        The first GPU has the first of them. Their parts are the numbers that were asked for, or else their free memory.
        """
        count = 0 if not self.gpus else layers + 1 if gpu_layers < 0 else min(gpu_layers, layers + 1)
        parts = self._parts if any(self._parts) else [_free_memory(device) for device in self.gpus]
        ends = list(accumulate(parts))
        first = layers + 1 - count
        on_gpus = [self.gpus[bisect_right(ends, index * ends[-1] / count)] for index in range(count)]
        devices = [self.cpu] * first + on_gpus
        return Placement(tuple(devices[:layers]), devices[layers])

    def buffer_type(self, device: int) -> int:
        """Return the ordinary buffer type of a device."""
        return int(ggml().ggml_backend_dev_buffer_type(device))

    def scheduler(self, nodes: int) -> Scheduler:
        """Return a scheduler for graphs of at most `nodes` nodes."""
        return Scheduler(self._backends, nodes)

    def close(self) -> None:
        """Stop the backends; everything made with them must be closed before."""
        self._stack.close()

    def _start(self, device: int, threads: int) -> int:
        backend = ggml().ggml_backend_dev_init(device, None)
        if not backend:
            raise OutOfMemory("A device could not be started; close other programs that use it.")
        self._stack.callback(ggml().ggml_backend_free, backend)
        set_threads = procedure(device, "ggml_backend_set_n_threads", "-pi")
        if set_threads is not None:
            set_threads(backend, threads)
        set_abort = procedure(device, "ggml_backend_set_abort_callback", "-ppp")
        if set_abort is not None:
            set_abort(backend, self.stop.callback, self.stop.data)
        return int(backend)


class Scheduler:
    """Splits graphs over the backends and owns the memory of what is between their inputs and outputs."""

    def __init__(self, backends: list[int], nodes: int) -> None:
        """Made by `Backends.scheduler`."""
        array = (ctypes.c_void_p * len(backends))(*backends)
        # Operations stay where their weights are: moved to a GPU for long prompts, views of a state would be its inputs by the
        # hundred, which ggml's scheduler does not survive.
        self._pointer = ggml().ggml_backend_sched_new(array, None, len(backends), nodes, False, False)

    def allocate(self, builder: Builder) -> None:
        """Give a graph memory; it replaces the graph before it.

        Raises:
            OutOfMemory: there is too little.
        """
        ggml().ggml_backend_sched_reset(self._pointer)
        if not ggml().ggml_backend_sched_alloc_graph(self._pointer, builder.graph):
            raise OutOfMemory(
                "The memory ran out while computing; load the model with a smaller context, or close other programs."
            )

    def compute(self, builder: Builder) -> int:
        """Compute the graph that was allocated last; return ggml's status."""
        return int(ggml().ggml_backend_sched_graph_compute(self._pointer, builder.graph))

    def close(self) -> None:
        """Free the memory."""
        ggml().ggml_backend_sched_free(self._pointer)


def cpu_device() -> int:
    """Return ggml's processor."""
    return _devices(_CPU)[0]


def _devices(kind: int) -> list[int]:
    devices = [ggml().ggml_backend_dev_get(index) for index in range(ggml().ggml_backend_dev_count())]
    return [device for device in devices if ggml().ggml_backend_dev_type(device) == kind]


def supports(device: int, make: Callable[[], Tensor], weight: Tensor, buffer_type: int) -> bool:
    """Tell whether a device computes the operation that `make` adds when its weight lies in memory of a kind."""
    field = ctypes.c_void_p.from_address(weight.pointer + BUFFER_FIELD)
    field.value = ggml().ggml_backend_buft_alloc_buffer(buffer_type, 0)
    try:
        return bool(ggml().ggml_backend_dev_supports_op(device, make().pointer))
    finally:
        ggml().ggml_backend_buffer_free(field.value)
        field.value = None


def _free_memory(device: int) -> int:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml().ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return free.value or total.value or 1
