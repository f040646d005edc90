"""Files of weights of either kind that lie on a host until they arrive: headers, and what else is asked for, are read there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar, cast

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.safetensors import places_of_header
from converter.checkpoint.source_file import Bytes, Rows, SourceFile, StoredRows
from converter.checkpoint.torch_pickle import StoredViews, TorchPickleFile, tensors_of_stream
from converter.hub.remote_headers import ReadPart
from converter.hub.remote_stream import RemoteStream
from converter.hub.selection import RemoteFile
from models.errors import BadFile

_Here = TypeVar("_Here", SourceFile, TorchPickleFile)
ARRIVING_SUFFIXES = (".safetensors", ".bin")
"""Of files that can be told by their headers; `.pth` files of a series belong to one another (`checkpoint/meta_llama.py`)."""


class ArrivingFile(Checkpoint, Protocol):
    """One file of weights, on its host until `arrive`."""

    def arrive(self) -> None:
        """Read the file at its path from here on.

        Raises:
            BadFile: it has other tensors than its host said before.
        """


def arriving_file(path: Path, file: RemoteFile, read: ReadPart) -> ArrivingFile:
    """Return a file, with its header read.

    Args:
        path: where it will be.
        file: what it is: its name ends in one of `ARRIVING_SUFFIXES`.
        read: fetches bytes of it.

    Raises:
        BadFile: it is damaged.
    """
    return (_ArrivingPickle if file.name.endswith(".bin") else _ArrivingSafetensors)(path, file, read)


class _Arrives(Generic[_Here]):
    """What both kinds do with the file that is here."""

    _here: _Here | None = None

    def check(self) -> None:
        """Raise `BadFile` where the file was changed since it arrived."""
        if self._here is not None:
            self._here.check()

    def close(self) -> None:
        """Let go of the file."""
        if self._here is not None:
            self._here.close()
            self._here = None


class _ArrivingSafetensors(_Arrives[SourceFile]):
    """One .safetensors file, on its host until `arrive`."""

    def __init__(self, path: Path, file: RemoteFile, read: ReadPart) -> None:
        """Read its header.

        Args:
            path: where it will be.
            file: what it is.
            read: fetches bytes of it.

        Raises:
            BadFile: it is damaged.
        """
        self.path = path
        self._places = places_of_header(path, file.size, RemoteStream(file, read).at)
        self._bytes: Bytes = _OnHost(file, read)
        self.tensors: Mapping[str, StoredTensor] = {name: stored for name, (stored, _) in self._places.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory."""
        return np.asarray(self.rows(name))

    def rows(self, name: str) -> StoredRows:
        """Return one tensor, its rows read when they are used."""
        stored, begin = self._places[name]
        return StoredRows(self._bytes, begin, stored.dtype, stored.shape)

    def arrive(self) -> None:
        """Read the file at its path from here on.

        Raises:
            BadFile: it has another header than was read of it.
        """
        here = SourceFile(self.path)
        if places_of_header(self.path, here.state.size, lambda at, size: here.read(at, size).tobytes()) != self._places:
            raise _another(self.path)
        self._bytes = self._here = here


class _ArrivingPickle(_Arrives[TorchPickleFile]):
    """One file that torch.save wrote, on its host until `arrive`."""

    def __init__(self, path: Path, file: RemoteFile, read: ReadPart) -> None:
        """As `arriving_file`."""
        self.path = path
        self._file, self._read = file, read
        self.tensors: Mapping[str, StoredTensor] = tensors_of_stream(path, self._stream(), file.size)

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory."""
        return (self._here or self._there).read(name)

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read when they are used."""
        return (self._here or self._there).rows(name)

    def arrive(self) -> None:
        """Read the file at its path from here on; raises as `ArrivingFile` says."""
        here = TorchPickleFile(self.path)
        if here.tensors != self.tensors:
            here.close()
            raise _another(self.path)
        self._here = here

    @cached_property
    def _there(self) -> StoredViews:
        """The tensors on the host; where each begins takes a request for each, which few conversions need."""
        return StoredViews(self.path, self._stream(), _OnHost(self._file, self._read), self._file.size)

    def _stream(self) -> BinaryIO:
        return cast("BinaryIO", RemoteStream(self._file, self._read))


class _OnHost:
    """A file's bytes on its host."""

    def __init__(self, file: RemoteFile, read: ReadPart) -> None:
        self._file, self._read = file, read

    def read(self, offset: int, size: int) -> np.ndarray:
        """Return bytes as uint8 [size]."""
        data = self._read(self._file, offset, offset + size - 1) if size else b""
        return np.frombuffer(data, np.uint8)


def _another(path: Path) -> BadFile:
    return BadFile("{path} is another file than its host said before; run the same command again.", path=path)
