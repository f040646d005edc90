"""A GGUF file's tensors on their devices, quantized as they are: used where they lie in the mapped file, or copied.

The file is used in place only where nothing of it is repacked for the processor; see `engine.repacking`.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from converter.gguf_header import GGUFHeader, GGUFTensor, read_gguf_header, split_parts
from desktop_app.engine.graph.builder import Context, Tensor
from desktop_app.engine.graph.devices import Backends, Buffers, Placement
from desktop_app.engine.graph.library import ggml
from desktop_app.engine.graph.repacking import repacking_buffer_type
from desktop_app.engine.runner import ProgressCallback
from models.errors import BadFile
from models.gguf_constants import GGMLQuantizationType as Type

_ALIGNMENT = 32
"""What ggml asks of the addresses of the CPU's tensors."""
_LAYER = re.compile(r"blk\.(\d+)\.")
_PAGE = 4096
"""The smallest there are."""


@dataclass(frozen=True)
class _Planned:
    tensor: Tensor
    stored: GGUFTensor
    path: Path


class Weights:
    """The tensors that an architecture asked for."""

    def __init__(self, header: GGUFHeader, backends: Backends, placement: Placement, *, mapped: bool) -> None:
        """Read the headers of all parts; `mapped`: leave the CPU's tensors in the file's pages, if all of them can be.

        Raises:
            BadFile: a part is missing or damaged.
        """
        self.header = header
        self._backends = backends
        self.placement = placement
        self._homes: dict[str, tuple[Path, GGUFTensor]] = {}
        for path in split_parts(header.path):
            part = header if path == header.path else read_gguf_header(path, arrays=False)
            self._homes |= {name: (path, tensor) for name, tensor in part.tensors.items()}
        self._mapped = mapped
        self._contexts: dict[int | None, Context] = {}
        self._planned: dict[int | None, list[_Planned]] = {}
        self._buffers = Buffers()
        self._maps: dict[Path, mmap.mmap] = {}

    def has(self, name: str) -> bool:
        """Tell whether the file holds a tensor."""
        return name in self._homes

    def matrix(self, name: str, rows: int, columns: int) -> Tensor:
        """Return a weight [columns, rows] of any type.

        Raises:
            BadFile: it is missing or has another shape.
        """
        tensor = self._stored(name, (rows, columns))
        return self._plan(name, tensor, repacked=name != "token_embd.weight")

    def vector(self, name: str, *shape: int) -> Tensor:
        """Return a small tensor, float32, of a row-major shape, its axes turned round as ggml writes them."""
        tensor = self._stored(name, shape)
        if tensor.type is not Type.F32:
            raise BadFile(
                "{path}: tensor {tensor} is {type} where F32 is needed; convert the model again.",
                path=self.header.path,
                tensor=name,
                type=tensor.type.name,
            )
        return self._plan(name, tensor)

    def norm(self, name: str, size: int) -> tuple[Tensor, Tensor]:
        """Return a normalization's weight and bias."""
        return self.vector(f"{name}.weight", size), self.vector(f"{name}.bias", size)

    def linear(self, name: str, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Return a linear layer's weight and bias."""
        return self.matrix(f"{name}.weight", rows, columns), self.vector(f"{name}.bias", rows)

    def load(self, on_progress: ProgressCallback) -> None:
        """Bring everything that was asked for into memory.

        Raises:
            OutOfMemory: a device has too little.
        """
        for kind, context in self._contexts.items():
            if kind is not None or not self._mapped:
                memory = self._backends.buffer_type(self._backends.cpu) if kind is None else kind
                self._buffers.allocate(context, memory, weights=True)
        everything = [(kind, planned) for kind, group in self._planned.items() for planned in group]
        total, done = sum(planned.stored.size for _, planned in everything), 0
        in_place = {planned.path for planned in self._planned.get(None, []) if self._mapped}
        wrapped = {path: self._buffers.wrap(self._address(path), len(self._map(path))) for path in in_place}
        for kind, planned in everything:
            address = self._address(planned.path) + planned.stored.offset
            if kind is None and self._mapped:
                self._read_ahead(planned)
                ggml().ggml_backend_tensor_alloc(wrapped[planned.path], planned.tensor.pointer, address)
            else:
                ggml().ggml_backend_tensor_set(planned.tensor.pointer, address, 0, planned.stored.size)
                self._release(planned)
            done += planned.stored.size
            on_progress(done / total)
        if not wrapped:
            self._maps.clear()

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(prod(tensor.shape) for _, tensor in self._homes.values())

    def close(self) -> None:
        """Free the memory and the maps."""
        self._buffers.close()
        for context in self._contexts.values():
            context.close()
        self._maps.clear()

    def _stored(self, name: str, shape: tuple[int, ...]) -> GGUFTensor:
        home = self._homes.get(name)
        if home is None:
            raise BadFile(
                "{path} lacks tensor {tensor}; download or convert the model again.", path=self.header.path, tensor=name
            )
        if home[1].shape != shape:
            raise BadFile(
                "{path}: tensor {tensor} has shape {shape} where {expected} is needed; convert the model again.",
                path=self.header.path,
                tensor=name,
                shape=list(home[1].shape),
                expected=list(shape),
            )
        return home[1]

    def _plan(self, name: str, stored: GGUFTensor, *, repacked: bool = False) -> Tensor:
        device = self._device_of(name)
        kind: int | None = self._backends.buffer_type(device)
        if device == self._backends.cpu:
            special = repacking_buffer_type(device, stored.type, stored.shape) if repacked else None
            self._mapped = self._mapped and special is None
            kind = special or self._plain_type(stored)
        context = self._contexts.get(kind)
        if context is None:
            context = self._contexts[kind] = Context(len(self._homes))
        tensor = context.new(stored.type, *reversed(stored.shape))
        ggml().ggml_set_name(tensor.pointer, name.encode()[:63])
        self._planned.setdefault(kind, []).append(_Planned(tensor, stored, self._homes[name][0]))
        return tensor

    def _plain_type(self, stored: GGUFTensor) -> int | None:
        """Return None for a tensor that may stay in the file's pages, or else the CPU's ordinary memory."""
        return None if stored.offset % _ALIGNMENT == 0 else self._backends.buffer_type(self._backends.cpu)

    def _device_of(self, name: str) -> int:
        layer = _LAYER.match(name)
        if layer is not None:
            return self.placement.layers[int(layer[1])]
        return self.placement.output if name.startswith("output") else self._backends.cpu

    def _map(self, path: Path) -> mmap.mmap:
        if path not in self._maps:
            with path.open("rb") as file:
                self._maps[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._maps[path]

    def _read_ahead(self, planned: _Planned) -> None:
        """Bring a tensor's pages into memory now: the first reply shall not wait for the disk, nor memory run out then."""
        stored = planned.stored
        np.frombuffer(self._map(planned.path), np.uint8, stored.size, stored.offset)[::_PAGE].max(initial=0)

    def _release(self, planned: _Planned) -> None:
        """Take a copied tensor's pages out of resident memory, or the model would be there twice."""
        data, stored = self._map(planned.path), planned.stored
        if hasattr(data, "madvise") and stored.size:
            start = stored.offset - stored.offset % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, start, stored.offset + stored.size - start)

    def _address(self, path: Path) -> int:
        return int(np.frombuffer(self._map(path), np.uint8).ctypes.data)
