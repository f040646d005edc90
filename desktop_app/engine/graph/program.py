"""A finished graph that is computed again and again, with other inputs each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

import numpy as np

from desktop_app.engine.graph.builder import Builder
from desktop_app.engine.graph.devices import Backends, Scheduler
from desktop_app.engine.runner import OutOfMemory
from models.errors import Cancelled, ZhiyinError

_SUCCESS, _ABORTED, _NO_MEMORY = 0, 1, -2


class Program:
    """A graph with its memory."""

    def __init__(self, backends: Backends, builder: Builder, scheduler: Scheduler | None = None) -> None:
        """Allocate the graph, on a scheduler of its own or on one whose earlier graph is no longer needed.

        Raises:
            OutOfMemory: there is too little.
        """
        self._builder = builder
        self._stop = backends.stop
        self._owns_scheduler = scheduler is None
        self._scheduler = scheduler or backends.scheduler(builder.nodes)
        try:
            self._scheduler.allocate(builder)
        except OutOfMemory:
            self.close()
            raise

    def run(self, inputs: Mapping[str, np.ndarray], *outputs: np.ndarray) -> None:
        """Compute; fills `outputs`, in the order in which the graph named them.

        Raises:
            Cancelled: the stop flag was set.
            OutOfMemory: a device had no room for its work.
        """
        if self._stop:
            raise Cancelled("Stopped.")
        for name, tensor in self._builder.inputs.items():
            tensor.write(inputs[name])
        status = self._scheduler.compute(self._builder)
        if status == _ABORTED:
            raise Cancelled("Stopped.")
        if status == _NO_MEMORY:
            raise OutOfMemory("The memory ran out while computing; load the model with a smaller context.")
        if status != _SUCCESS:
            raise ZhiyinError(
                "ggml failed to compute the next tokens (code {status}); load the model again.", status=status
            )
        for tensor, values in zip(self._builder.outputs.values(), outputs, strict=True):
            tensor.read(values)

    def close(self) -> None:
        """Free the graph and its memory."""
        if self._owns_scheduler:
            self._scheduler.close()
        self._builder.close()


class Programs:
    """The last few programs by their shapes, so that a graph is built once for all computations of its shape."""

    def __init__(self, most: int) -> None:
        """Keep `most` programs."""
        self._most = most
        self._kept: OrderedDict[Hashable, Program] = OrderedDict()

    def get(self, shape: Hashable, build: Callable[[], Program]) -> Program:
        """Return the program of a shape, building it where it is not there."""
        program = self._kept.get(shape)
        if program is None:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)[1].close()
            program = self._kept[shape] = build()
        self._kept.move_to_end(shape)
        return program

    def close(self) -> None:
        """Free all."""
        while self._kept:
            self._kept.popitem()[1].close()
