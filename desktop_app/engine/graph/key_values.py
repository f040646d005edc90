"""The key-value cache of the graph runner: a column a token, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from desktop_app.engine.graph.builder import Builder, Context, Tensor
from desktop_app.engine.graph.cache_type import cache_type
from desktop_app.engine.graph.devices import Backends, Buffers
from desktop_app.engine.graph.library import ggml
from models.errors import ZhiyinError
from models.gguf_constants import GGML_QUANT_SIZES
from models.gguf_constants import GGMLQuantizationType as Type

STEP = 256
"""A graph sees the cache up to a multiple of this, and is built again only when that grows."""
_TYPES = (Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q5_1, Type.Q5_0, Type.Q4_1, Type.Q4_0, Type.IQ4_NL)


class LayerCache(NamedTuple):
    """A layer's keys and values: [heads x size, context] each."""

    keys: Tensor
    values: Tensor


class KeyValues:
    """The cache of all layers, each on its layer's device."""

    def __init__(self, kind: str, heads: int, size: int, context: int) -> None:
        """Describe a cache without its memory.

        Args:
            kind: name of a ggml type.
            heads: of keys, and of values.
            size: dimensions of a head.
            context: tokens that it holds.

        Raises:
            ZhiyinError: a head's keys cannot be of this type.
        """
        self.type = cache_type(kind)
        if self.type not in _TYPES or size % GGML_QUANT_SIZES[self.type][0]:
            raise ZhiyinError("The KV cache of this model cannot be {kind}; use f16.", kind=kind)
        self.context = context
        self._heads, self._size = heads, size
        self._column_bytes = int(ggml().ggml_row_size(int(self.type), heads * size))
        self._head_bytes = int(ggml().ggml_row_size(int(self.type), size))
        self._buffers = Buffers()
        self._contexts: list[Context] = []
        self.layers: list[LayerCache] = []

    def allocate(self, backends: Backends, devices: tuple[int, ...]) -> None:
        """Make room for all layers, on the device of each.

        Raises:
            OutOfMemory: there is too little.
        """
        contexts = {device: Context(2 * len(devices)) for device in devices}
        for device in devices:
            keys, values = (contexts[device].new(self.type, self._heads * self._size, self.context) for _ in range(2))
            self.layers.append(LayerCache(keys, values))
        for device, context in contexts.items():
            self._contexts.append(context)
            self._buffers.allocate(context, backends.buffer_type(device))

    def seen(self, tokens: int) -> int:
        """Return how many columns a graph sees that computes up to so many tokens."""
        return min(-(-tokens // STEP) * STEP, self.context)

    def view(self, builder: Builder, tensor: Tensor, seen: int) -> Tensor:
        """Return the first columns of a layer's keys or values as attention reads them: [size, seen, heads]."""
        return builder.view(tensor, (self._size, seen, self._heads), (self._column_bytes, self._head_bytes))

    def by_column(self, builder: Builder, tensor: Tensor, seen: int) -> Tensor:
        """Return the first columns of a layer's keys or values as they were stored: [size, heads, seen]."""
        return builder.view(tensor, (self._size, self._heads, seen), (self._head_bytes, self._column_bytes))

    def bytes_of(self, tokens: int) -> int:
        """Return what so many tokens take."""
        return 2 * len(self.layers) * tokens * self._column_bytes

    def read(self, tokens: int) -> dict[str, np.ndarray]:
        """Return the columns of the first tokens."""
        state = {}
        for layer, cache in enumerate(self.layers):
            for name, tensor in zip(LayerCache._fields, cache, strict=True):
                data = state[f"{name}_{layer}"] = np.empty((tokens, self._column_bytes), np.uint8)
                if data.size:
                    tensor.read(data)
        return state

    def fits(self, tokens: int, state: Mapping[str, np.ndarray]) -> bool:
        """Tell whether `read` of a cache like this one could have returned a state for so many tokens."""
        shape = (tokens, self._column_bytes)
        arrays = [state.get(f"{name}_{layer}") for layer in range(len(self.layers)) for name in LayerCache._fields]
        return tokens <= self.context and all(
            data is not None and data.shape == shape and data.dtype == np.uint8 for data in arrays
        )

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up a state that fits."""
        for layer, cache in enumerate(self.layers):
            for name, tensor in zip(LayerCache._fields, cache, strict=True):
                data = state[f"{name}_{layer}"]
                if data.size:
                    tensor.write(data)

    def close(self) -> None:
        """Free the memory."""
        self._buffers.close()
        for context in self._contexts:
            context.close()


def causal_mask(columns: np.ndarray, seen: int) -> np.ndarray:
    """Return what is added to the scores of tokens in these columns, each seeing itself and those before: float16 [n, seen]."""
    return np.where(np.arange(seen) <= columns[:, None], np.float16(0), np.float16(-np.inf))
