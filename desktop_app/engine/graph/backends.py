"""Where graphs are computed: ggml's devices with their memory, threads and the way to stop them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from desktop_app.engine.graph.builder import Builder, Context, Tensor
from desktop_app.engine.graph.library import ggml, procedure
from desktop_app.engine.runner import OutOfMemory
from desktop_app.engine.stop_flag import StopFlag

_CPU, _GPU, _INTEGRATED_GPU, _ACCELERATOR = range(4)
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
                f"The model does not fit in memory ({where}); choose a smaller context or quantization, or close other programs."
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

    def __init__(self, threads: int, stop: StopFlag, *, gpu: bool) -> None:
        """Start the backends.

        Raises:
            OutOfMemory: a device has no room to start.
        """
        self.stop = stop
        self._stack = ExitStack()
        devices = [ggml().ggml_backend_dev_get(index) for index in range(ggml().ggml_backend_dev_count())]
        kinds = {device: ggml().ggml_backend_dev_type(device) for device in devices}
        self.gpus = [device for device in devices if gpu and kinds[device] in (_GPU, _INTEGRATED_GPU)]
        accelerators = [device for device in devices if kinds[device] == _ACCELERATOR]
        self.cpu = next(device for device in devices if kinds[device] == _CPU)
        self._backends = [self._start(device, threads) for device in (*self.gpus, *accelerators, self.cpu)]

    def place(self, layers: int, gpu_layers: int) -> Placement:
        """Spread the last `gpu_layers` layers (-1: all) over the GPUs by their free memory; the head follows when all fit."""
        count = 0 if not self.gpus else layers + 1 if gpu_layers < 0 else min(gpu_layers, layers + 1)
        first = max(layers - count, 0)
        free = [_free_memory(device) for device in self.gpus]
        devices = [self.cpu] * first
        for index in range(first, layers + 1):
            share = (index - first + 0.5) / (layers + 1 - first) * sum(free)
            devices.append(_device_at(share, self.gpus, free) if count else self.cpu)
        return Placement(tuple(devices[:layers]), devices[layers] if count > layers else self.cpu)

    def buffer_type(self, device: int) -> int:
        """Return the ordinary kind of memory of a device."""
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
        self._pointer = ggml().ggml_backend_sched_new(array, None, len(backends), nodes, False, True)

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


def _device_at(share: float, devices: list[int], free: list[int]) -> int:
    """Return the device that holds byte `share` when all devices' free memory is laid end to end."""
    for device, size in zip(devices, free, strict=True):
        if share < size:
            return device
        share -= size
    return devices[-1]
