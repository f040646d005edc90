"""A GGUF model as a checkpoint: one file, or all the parts of a split one."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from converter.checkpoint import StoredTensor
from converter.checkpoint.source_file import Rows, SourceFile, StoredRows
from converter.ggml import dequantize
from converter.ggml_types import row_bytes
from converter.gguf_header import GGUFHeader, GGUFTensor, read_gguf_header, split_parts
from models.errors import BadFile
from models.gguf_constants import GGMLQuantizationType

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
        """Read the headers; of a split model any part may be named, and all are opened unless it should be `alone`.

        Raises:
            BadFile: a part is missing, truncated or damaged.
        """
        self.path = path
        parts = [path] if alone else split_parts(path)
        self._files = {part: SourceFile(part) for part in parts}
        headers = [read_gguf_header(part, encoded=True) for part in parts]
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

    @property
    def types(self) -> Mapping[str, GGMLQuantizationType]:
        """Every tensor's type in the file."""
        return {name: tensor.type for name, (_, tensor) in self._homes.items()}

    def encoded(self, name: str) -> np.ndarray:
        """Return a tensor's bytes as they are: uint8 [rows, row bytes], in memory."""
        return np.asarray(self.encoded_rows(name))

    def encoded_rows(self, name: str) -> StoredRows:
        """Return a tensor's bytes as they are: uint8 [rows, row bytes], read when they are used."""
        header, tensor = self._homes[name]
        length = tensor.shape[-1] if tensor.shape else 1
        shape = prod(tensor.shape[:-1]), row_bytes(tensor.type, length)
        return StoredRows(self._files[header.path], tensor.offset, np.dtype(np.uint8), shape)

    def read(self, name: str) -> np.ndarray:
        """Return one tensor; quantized ones are widened to float32."""
        _, tensor = self._homes[name]
        rows = self.encoded(name)
        if tensor.type in _DTYPES:
            return rows.reshape(-1).view(_DTYPES[tensor.type]).reshape(tensor.shape)
        return dequantize(rows, tensor.type, tensor.shape[-1]).reshape(tensor.shape)

    def rows(self, name: str) -> Rows:
        """Return one tensor; floats are read row by row."""
        header, tensor = self._homes[name]
        if tensor.type not in _DTYPES:
            return self.read(name)
        return StoredRows(self._files[header.path], tensor.offset, _DTYPES[tensor.type], tensor.shape)

    def check(self) -> None:
        """Raise `BadFile` where a part was changed since it was opened."""
        for file in self._files.values():
            file.check()

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()
