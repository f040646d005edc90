"""A GGUF model as a checkpoint: one file, or all the parts of a split one."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from gguf.constants import GGMLQuantizationType

from converter.checkpoint import StoredTensor
from converter.ggml import dequantize
from converter.ggml_types import row_bytes
from converter.gguf_header import GGUFHeader, GGUFTensor, read_gguf_header, split_parts
from models.errors import BadFile

_DTYPES: dict[GGMLQuantizationType, np.dtype[Any]] = {
    GGMLQuantizationType.F32: np.dtype(np.float32),
    GGMLQuantizationType.F16: np.dtype(np.float16),
    GGMLQuantizationType.BF16: np.dtype(ml_dtypes.bfloat16),
    GGMLQuantizationType.F64: np.dtype(np.float64),
    GGMLQuantizationType.I8: np.dtype(np.int8),
    GGMLQuantizationType.I16: np.dtype(np.int16),
    GGMLQuantizationType.I32: np.dtype(np.int32),
    GGMLQuantizationType.I64: np.dtype(np.int64),
}


class GGUFFile:
    """All tensors of a GGUF model."""

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """Read the heads; of a split model any part may be named, and all are opened unless it should be `alone`.

        Raises:
            BadFile: a part is missing, truncated or damaged.
        """
        self.path = path
        headers = [read_gguf_header(part, encoded=True) for part in ([path] if alone else split_parts(path))]
        self.header = headers[0]
        self._homes: dict[str, tuple[GGUFHeader, GGUFTensor]] = {}
        for header in headers:
            for name, tensor in header.tensors.items():
                if name in self._homes:
                    raise BadFile(
                        "{path} repeats tensor {tensor} of another part; download them all again.",
                        path=header.path,
                        tensor=name[:80],
                    )
                self._homes[name] = header, tensor
        self.tensors: Mapping[str, StoredTensor] = {
            name: StoredTensor(_DTYPES.get(tensor.type, np.dtype(np.float32)), tensor.shape)
            for name, (_, tensor) in self._homes.items()
        }
        self._maps: dict[Path, mmap.mmap] = {}

    @property
    def types(self) -> Mapping[str, GGMLQuantizationType]:
        """Every tensor's type in the file."""
        return {name: tensor.type for name, (_, tensor) in self._homes.items()}

    def encoded(self, name: str) -> np.ndarray:
        """Return a tensor's bytes as they are: uint8 [rows, row bytes], a view of the memory map."""
        header, tensor = self._homes[name]
        if header.path not in self._maps:
            with header.path.open("rb") as file:
                self._maps[header.path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = tensor.shape[-1] if tensor.shape else 1
        flat = np.frombuffer(self._maps[header.path], np.uint8, tensor.size, tensor.offset)
        return flat.reshape(prod(tensor.shape[:-1]), row_bytes(tensor.type, length))

    def read(self, name: str) -> np.ndarray:
        """Return one tensor; quantized ones are widened to float32."""
        _, tensor = self._homes[name]
        rows = self.encoded(name)
        if tensor.type in _DTYPES:
            return rows.reshape(-1).view(_DTYPES[tensor.type]).reshape(tensor.shape)
        return dequantize(rows, tensor.type, tensor.shape[-1]).reshape(tensor.shape)

    def release(self, name: str) -> None:
        """Take a tensor's pages out of resident memory."""
        header, tensor = self._homes[name]
        data = self._maps.get(header.path)
        if data is not None and hasattr(data, "madvise") and tensor.size:
            start = tensor.offset - tensor.offset % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, start, tensor.offset + tensor.size - start)

    def close(self) -> None:
        """Forget the maps; the system unmaps them when the last array is gone."""
        self._maps.clear()
