"""Files of weights that another program may change while they are read.

They are read by position and never mapped: touching a page behind the end of a file that was shortened, or on a disk that fails,
ends the process (SIGBUS), where a read returns too little or an error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason


class Rows(Protocol):
    """An array, or what becomes one when NumPy asks for it; slices are cheap."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The elements' type."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Any: ...

    def __array__(self) -> np.ndarray: ...


class Bytes(Protocol):
    """Bytes by their position, here or elsewhere."""

    def read(self, offset: int, size: int) -> np.ndarray:
        """Return uint8 [size]; several threads may read. Raises `models.errors.BadFile`."""
        ...


@dataclass(frozen=True)
class FileState:
    """Identity and modification state of a file."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""

    @classmethod
    def of(cls, file: BinaryIO) -> FileState:
        """Return an open file's state."""
        status = os.fstat(file.fileno())
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    @classmethod
    def at(cls, path: Path) -> FileState:
        """Return the state of the file at a path, opened, as `of` sees it."""
        with open_regular(path) as file:
            return cls.of(file)


class SourceFile:
    """A file of weights. It is opened when first read, and has to be what it was when this object was made."""

    def __init__(self, path: Path) -> None:
        """Note the file's state.

        Raises:
            BadFile: it is missing, no file, or may not be read.
        """
        self.path = path
        try:
            self.state = FileState.at(path)
        except OSError as error:
            raise self._unreadable(error) from error
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> np.ndarray:
        """Return bytes as uint8 [size]; several threads may read.

        Raises:
            BadFile: the file was changed or shortened, or the system cannot read it.
        """
        data = np.empty(size, np.uint8)
        view = data.data
        try:
            with self._lock:
                file = self._opened()
                file.seek(offset)
                while view:
                    count = file.readinto(view)  # type: ignore[attr-defined]  # a raw file has it
                    if not count:
                        raise self._changed()
                    view = view[count:]
        except OSError as error:
            raise self._unreadable(error) from error
        return data

    def check(self) -> None:
        """Raise `BadFile` where the file is another one, or was changed, since this object was made.

        From here on it stays open, so that its inode means something on every file system; one that is then deleted or moved
        away is as it was.
        """
        try:
            with self._lock:
                now = FileState.of(self._opened())
            same = now == self.state and FileState.at(self.path) == self.state
        except FileNotFoundError:
            same = self._file is not None and now == self.state
        except OSError as error:
            raise self._unreadable(error) from error
        if not same:
            raise self._changed()

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            file = open_regular(self.path, buffering=0)
            if FileState.of(file) != self.state:
                file.close()
                raise self._changed()
            self._file = file
        return self._file

    def _unreadable(self, error: OSError) -> BadFile:
        return BadFile("{path} cannot be read: {reason}.", path=self.path, reason=system_reason(error))

    def _changed(self) -> BadFile:
        return BadFile(
            "{path} was changed or shortened while it was read; wait until no other program writes it, then try again.",
            path=self.path,
        )


class StoredRows:
    """An array in a file; slices along the first axis are read when NumPy asks for them."""

    def __init__(self, file: Bytes, offset: int, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
        """Take the place in the file, in bytes, and what lies there, in C order."""
        self._file = file
        self._offset = offset
        self.dtype = dtype
        self.shape = tuple(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> StoredRows:
        start, end, _ = rows.indices(len(self))
        offset = self._offset + start * prod(self.shape[1:]) * self.dtype.itemsize
        return StoredRows(self._file, offset, self.dtype, (max(end - start, 0), *self.shape[1:]))

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> np.ndarray:
        data = self._file.read(self._offset, prod(self.shape) * self.dtype.itemsize)
        return data.view(self.dtype).reshape(self.shape)

    def flat(self, length: int) -> StoredRows:
        """Return the same elements as [n, length]."""
        return StoredRows(self._file, self._offset, self.dtype, (prod(self.shape) // length if length else 0, length))


class JoinedRows:
    """Arrays one below the other, each read when NumPy asks for rows of it."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        """Join arrays that differ in their number of rows only."""
        self._parts = parts
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, rows: slice) -> JoinedRows:
        start, end, _ = rows.indices(len(self))
        cut: list[Rows] = []
        before = 0
        for part in self._parts:
            first, last = max(start - before, 0), min(end - before, len(part))
            before += len(part)
            if first < last:
                cut.append(part[first:last])
        return JoinedRows(cut or [self._parts[0][:0]])

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> np.ndarray:
        arrays = [np.asarray(part) for part in self._parts]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
