"""Safetensors files, read lazily.

Format: https://github.com/huggingface/safetensors: 8 bytes header length, a JSON header, then the data. The header is
untrusted: offsets, sizes and shapes are checked before anything is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

import ml_dtypes
import msgspec
import numpy as np

from converter.checkpoint import StoredTensor, is_possible
from converter.checkpoint.source_file import SourceFile, StoredRows
from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason
from models.untrusted_json import InvalidJSON, decode

_LARGEST_HEADER = 8 * 1024 * 1024
"""Room for 60,000 tensors in one file; a longer one takes JSON's reader seconds and twenty times its size in memory."""
_MOST_DIMENSIONS = 8
_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}


class _Entry(msgspec.Struct):
    """A tensor in the header."""

    dtype: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=_MOST_DIMENSIONS)]
    data_offsets: tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]]


_ENTRY = msgspec.json.Decoder(_Entry)


POINTER = b"version https://git-lfs"
"""How a file of Git LFS begins that stands for another one."""


@dataclass(frozen=True)
class _Slot:
    stored: StoredTensor
    offset: int
    """Bytes from the start of the file."""


class SafetensorsFile:
    """One .safetensors file."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            BadFile: the file is missing, truncated or damaged.
        """
        self.path = path
        self._file = SourceFile(path)
        self._slots = _read_header(path, self._file.state.size)

    @property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """Every tensor's dtype and shape."""
        return {name: slot.stored for name, slot in self._slots.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory."""
        return np.asarray(self.rows(name))

    def rows(self, name: str) -> StoredRows:
        """Return one tensor, its rows read when they are used."""
        slot = self._slots[name]
        return StoredRows(self._file, slot.offset, slot.stored.dtype, slot.stored.shape)

    def check(self) -> None:
        """Raise `BadFile` where the file was changed since it was opened."""
        self._file.check()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def pointer(path: Path) -> BadFile:
    """Return the sentence about a file that Git LFS has put in place of a large one."""
    return BadFile(
        "{path} is only a pointer of Git LFS to the file of weights; fetch that one (git lfs pull), or download it again.",
        path=path,
    )


def tensors_of_header(path: Path, size: int, read: Callable[[int, int], bytes]) -> dict[str, StoredTensor]:
    """Return the tensors of a file that lies elsewhere.

    Args:
        path: names it in sentences.
        size: its bytes.
        read: returns so many bytes from a place on.

    Raises:
        BadFile: it is damaged.
    """
    return {name: slot.stored for name, slot in _slots(path, size, read).items()}


def places_of_header(path: Path, size: int, read: Callable[[int, int], bytes]) -> dict[str, tuple[StoredTensor, int]]:
    """Return the tensors of a file that lies elsewhere, and where in it each begins; as `tensors_of_header`."""
    return {name: (slot.stored, slot.offset) for name, slot in _slots(path, size, read).items()}


def _read_header(path: Path, size: int) -> dict[str, _Slot]:
    try:
        with open_regular(path) as file:

            def read(start: int, count: int) -> bytes:
                file.seek(start)
                return file.read(count)

            return _slots(path, size, read)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error


def _slots(path: Path, size: int, read: Callable[[int, int], bytes]) -> dict[str, _Slot]:
    prefix = read(0, 8) if size >= 8 else b""
    if prefix == POINTER[:8]:
        raise pointer(path)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if _LARGEST_HEADER < length <= size - 8:
        raise BadFile(
            "{path} has a header of {count} bytes, which no model needs; download it again.",
            path=path,
            count=length,
        )
    if not 2 <= length <= size - 8:
        raise BadFile("{path} is truncated or no safetensors file; download it again.", path=path)
    try:
        header = decode(read(8, length), dict[str, msgspec.Raw])
    except InvalidJSON as error:
        raise BadFile("{path} has a damaged header; download it again.", path=path) from error
    start = 8 + length
    return {
        name: _slot(path, name, entry, start, size - start) for name, entry in header.items() if name != "__metadata__"
    }


def _slot(path: Path, name: str, described: msgspec.Raw, start: int, room: int) -> _Slot:
    try:
        entry = _ENTRY.decode(described)
        dtype, shape, (begin, end) = _DTYPES[entry.dtype], tuple(entry.shape), entry.data_offsets
        is_complete = is_possible(shape) and end - begin == prod(shape) * dtype.itemsize
    except (KeyError, msgspec.MsgspecError, RecursionError):
        is_complete = False
    if not is_complete:
        raise BadFile("{path} describes tensor {tensor} wrongly; download it again.", path=path, tensor=name[:80])
    if end > room:
        raise BadFile(
            "{path} is truncated: {count} bytes of tensor {tensor} are missing; download it again.",
            path=path,
            count=end - room,
            tensor=name[:80],
        )
    return _Slot(StoredTensor(dtype, shape), start + begin)
