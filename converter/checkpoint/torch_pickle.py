"""PyTorch's `.bin`, `.pt` and `.pth` files, read without torch and without running what they hold.

Two formats (torch/serialization.py): since 1.6 an uncompressed zip with the pickle `data.pkl` and one record a storage; before,
four pickles (magic number, protocol, machine, contents) followed by a pickled list of storage keys and the storages. A tensor
is a view (offset, shape, strides in elements) of a storage that others may share. Everything is lazy: storages stay on the disk.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import ml_dtypes
import numpy as np

from converter.checkpoint import StoredTensor, is_possible
from converter.checkpoint.safe_pickle import (
    DamagedPickle,
    RefusedPickle,
    load_pickle,
    load_pickle_bytes,
    ordered_dict,
)
from converter.checkpoint.safetensors import POINTER, pointer
from converter.checkpoint.source_file import Bytes, Rows, SourceFile, StoredRows
from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LARGEST_PICKLE = 64 * 1024 * 1024
_LARGEST_LIST = 8 * 1024 * 1024
_LARGEST_NUMBER = 1 << 48
_MOST_DIMENSIONS = 8
_LOCAL_HEADER = 30
_DAMAGES = (DamagedPickle, zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OverflowError)
"""What reading a damaged file raises."""
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "params")
"""Keys under which training programs keep the weights."""
_OF_TRAINING = {"param_groups", "optimizer", "optimizer_state_dict", "optimizer_states"}
"""Keys under which they keep what else they go on from."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "int64": np.dtype(np.int64),
    "int32": np.dtype(np.int32),
    "int16": np.dtype(np.int16),
    "int8": np.dtype(np.int8),
    "uint64": np.dtype(np.uint64),
    "uint32": np.dtype(np.uint32),
    "uint16": np.dtype(np.uint16),
    "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class _Kind:
    """A dtype or storage class of the pickle; None: untyped bytes."""

    dtype: np.dtype[Any] | None


@dataclass(frozen=True)
class _Storage:
    """A run of elements in the file; `start` of a view is in elements of the root storage."""

    key: str
    dtype: np.dtype[Any] | None
    count: int
    start: int = 0


@dataclass(frozen=True)
class _View:
    """A tensor as the pickle describes it."""

    storage: _Storage
    dtype: np.dtype[Any]
    offset: int
    """Elements from the storage's start."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In elements."""

    @property
    def reach(self) -> int:
        """Elements from the storage's start to behind the last one that the view touches."""
        if 0 in self.shape:
            return 0
        return self.offset + 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))


@dataclass(frozen=True)
class _Slot:
    """A checked view: where its bytes begin and end in the file."""

    stored: StoredTensor
    begin: int
    end: int
    strides: tuple[int, ...]


class StoredViews:
    """The tensors of one file, wherever its bytes are."""

    def __init__(self, path: Path, stream: BinaryIO, data: Bytes, size: int) -> None:
        """Read the pickle, and where each storage lies.

        Args:
            path: names the file in sentences.
            stream: reads it.
            data: reads it by position.
            size: its bytes.

        Raises:
            BadFile: it is truncated, damaged, or asks for anything but tensors and plain containers.
        """
        self.path = path
        self._data, self._size = data, size
        try:
            self._slots = _read_slots(path, stream, size)
        except RefusedPickle as error:
            raise BadFile(
                "{path} asks for {what}, which no file of weights needs; nothing in it was run: get it as safetensors.",
                path=path,
                what=error,
            ) from None
        except _DAMAGES as error:
            raise BadFile("{path} is truncated, damaged or no PyTorch file; download it again.", path=path) from error

    @property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """Every tensor's dtype and shape."""
        return {name: slot.stored for name, slot in self._slots.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory, with the strides that it was saved with.

        Raises:
            BadFile: the tensor repeats its elements so often that it is larger than the file.
        """
        slot = self._slots[name]
        dtype, shape = slot.stored.dtype, slot.stored.shape
        if not prod(shape):
            return np.empty(shape, dtype)
        if prod(shape) * dtype.itemsize > self._size:
            raise BadFile(
                "{path}: tensor {tensor} is larger than the file; get the checkpoint elsewhere.",
                path=self.path,
                tensor=name[:80],
            )
        strides = tuple(stride * dtype.itemsize for stride in slot.strides)
        return np.ndarray(shape, dtype, self._data.read(slot.begin, slot.end - slot.begin), 0, strides)

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read when they are used where it lies in one piece."""
        slot = self._slots[name]
        dtype, shape = slot.stored.dtype, slot.stored.shape
        if slot.end - slot.begin != prod(shape) * dtype.itemsize or slot.strides != _strides(shape):
            return self.read(name)
        return StoredRows(self._data, slot.begin, dtype, shape)


class TorchPickleFile(StoredViews):
    """One file that torch.save wrote."""

    def __init__(self, path: Path) -> None:
        """Read the pickle; storages stay on the disk.

        Raises:
            BadFile: the file is missing, truncated, damaged, or asks for anything but tensors and plain containers.
        """
        self._file = SourceFile(path)
        try:
            with open_regular(path) as stream:
                super().__init__(path, stream, self._file, self._file.state.size)
        except OSError as error:
            raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error

    def check(self) -> None:
        """Raise `BadFile` where the file was changed since it was opened."""
        self._file.check()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of C order, in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _read_slots(path: Path, file: BinaryIO, size: int) -> dict[str, _Slot]:
    head = file.read(len(POINTER))
    if head == POINTER:
        raise pointer(path)
    reader = _read_zip if head[:4] == b"PK\x03\x04" else _read_legacy
    file.seek(0)
    contents, places = reader(path, file, size)
    views = dict(_tensors(contents))
    if not views and isinstance(contents, dict) and not _OF_TRAINING.isdisjoint(map(str, contents)):
        raise BadFile(
            "{path} holds what an optimizer goes on training from, no weights; name the file of the weights.", path=path
        )
    if not views:
        raise BadFile(
            "{path} holds no tensors: it was saved without them, or is another file; get the weights again.", path=path
        )
    return {name: _slot(path, name, view, places) for name, view in views.items()}


class _ShortReads:
    """A file whose reads are limited: a zip's list of records is read at once and takes ten times its size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_LARGEST_LIST + 1 if size < 0 else min(size, _LARGEST_LIST + 1))
        if len(data) > _LARGEST_LIST:
            raise DamagedPickle("its list of records is absurdly long")
        return data

    def seekable(self) -> bool:
        return True


def places_in_zip(
    path: Path, file: BinaryIO, size: int, names: Callable[[Sequence[str]], Sequence[str]]
) -> dict[str, tuple[StoredTensor, int]]:
    """Return some tensors of a file that lies elsewhere, and where in it each begins; none of an older format's.

    Args:
        path: names it in sentences.
        file: reads it.
        size: its bytes.
        names: chooses tensors among all of their names, because each takes a read of its own.

    Raises:
        BadFile: it is damaged.
    """
    try:
        if file.read(4) != b"PK\x03\x04":
            return {}
        contents, records = _open_zip(path, file, size)
        views = dict(_tensors(contents))
        located = {}
        for name in names([name for name, view in views.items() if view.strides == _strides(view.shape)]):
            info = records.get(views[name].storage.key)
            places = {} if info is None else {views[name].storage.key: _record(file, info, size)}
            slot = _slot(path, name, views[name], places)
            located[name] = slot.stored, slot.begin
    except (RefusedPickle, *_DAMAGES) as error:
        raise BadFile("{path} is truncated, damaged or no PyTorch file; download it again.", path=path) from error
    return located


def tensors_of_stream(path: Path, file: BinaryIO, size: int) -> dict[str, StoredTensor]:
    """Return the tensors of a file that lies elsewhere; arguments and errors as `places_in_zip`."""
    try:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        contents = _open_zip(path, file, size)[0] if is_zip else _legacy_contents(path, file, _persistent)
    except (RefusedPickle, *_DAMAGES) as error:
        raise BadFile("{path} is truncated, damaged or no PyTorch file; download it again.", path=path) from error
    return {name: StoredTensor(view.dtype, view.shape) for name, view in _tensors(contents)}


def _read_zip(path: Path, file: BinaryIO, size: int) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Return the unpickled contents and each storage's (begin, end) in the file."""
    contents, records = _open_zip(path, file, size)
    used = {view.storage.key for _, view in _tensors(contents)}
    return contents, {key: _record(file, records[key], size) for key in used if key in records}


def _open_zip(path: Path, file: BinaryIO, size: int) -> tuple[Any, dict[str, zipfile.ZipInfo]]:
    """Return the unpickled contents and each storage's record."""
    with zipfile.ZipFile(cast("IO[bytes]", _ShortReads(file))) as archive:
        records = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in records if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadFile(
            "{path} is a zip file, but not one of weights that torch.save wrote; name the right file.", path=path
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in records.values()):
        raise BadFile("{path} was packed again with compression; get the file as torch.save wrote it.", path=path)
    prefix = pickles[0].removesuffix("data.pkl")
    order = records.get(f"{prefix}byteorder")
    if order is not None and _contents(file, order, size) != b"little":
        raise BadFile(
            "{path} was saved on a big-endian computer, which cannot be read; get it as safetensors.", path=path
        )
    contents = load_pickle_bytes(_contents(file, records[pickles[0]], size), _NAMES, _persistent)
    data = f"{prefix}data/"
    return contents, {name[len(data) :]: info for name, info in records.items() if name.startswith(data)}


def _contents(file: BinaryIO, info: zipfile.ZipInfo, size: int) -> bytes:
    begin, end = _record(file, info, size)
    if end - begin > _LARGEST_PICKLE:
        raise DamagedPickle("it is absurdly long")
    file.seek(begin)
    return file.read(end - begin)


def _record(file: BinaryIO, info: zipfile.ZipInfo, size: int) -> tuple[int, int]:
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise DamagedPickle("a record is missing")
    name_length, extra_length = struct.unpack_from("<HH", header, 26)
    begin = info.header_offset + _LOCAL_HEADER + name_length + extra_length
    if begin + info.file_size > size:
        raise DamagedPickle("a record is cut off")
    return begin, begin + info.file_size


def _read_legacy(path: Path, file: BinaryIO, size: int) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Do the same as `_read_zip` for the format before PyTorch 1.6."""
    widths: dict[str, int] = {}

    def persistent(pid: Any) -> _Storage:
        storage = _persistent(pid)
        if storage.dtype is None:
            raise DamagedPickle("a storage without a type")
        widths[storage.key] = storage.dtype.itemsize
        return storage

    contents = _legacy_contents(path, file, persistent)
    keys = load_pickle(file, {}, _persistent)
    if not isinstance(keys, list):
        raise DamagedPickle("the list of storages is missing")
    places = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        begin = file.tell()
        if not isinstance(key, str) or key not in widths or not 0 <= count * widths[key] <= size - begin:
            raise DamagedPickle("a storage is cut off")
        file.seek(count * widths[key], 1)
        places[key] = begin, file.tell()
    return contents, places


def _legacy_contents(path: Path, file: BinaryIO, persistent: Callable[[Any], Any]) -> Any:
    if load_pickle(file, {}, _persistent) != _LEGACY_MAGIC or load_pickle(file, {}, _persistent) != _LEGACY_PROTOCOL:
        raise DamagedPickle("it has another magic number")
    machine = load_pickle(file, {}, _persistent)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise BadFile(
            "{path} was saved on a big-endian computer, which cannot be read; get it as safetensors.", path=path
        )
    return load_pickle(file, _NAMES, persistent)


def _slot(path: Path, name: str, view: _View, places: Mapping[str, tuple[int, int]]) -> _Slot:
    stored = StoredTensor(view.dtype, view.shape)
    if view.storage.key not in places:
        raise BadFile("{path} lacks the data of tensor {tensor}; download it again.", path=path, tensor=name[:80])
    begin, end = places[view.storage.key]
    width = view.dtype.itemsize
    start = view.storage.start * width
    if (view.storage.start + view.reach) * width > end - begin:
        raise BadFile(
            "{path} is truncated: tensor {tensor} reaches behind its data; download it again.",
            path=path,
            tensor=name[:80],
        )
    return _Slot(stored, begin + start + view.offset * width, begin + start + view.reach * width, view.strides)


def _tensors(contents: Any) -> Iterator[tuple[str, _View]]:
    """Yield the named tensors: of the dict itself, or of the one that a training program wrapped."""
    if not isinstance(contents, dict):
        return
    views = [(name, value) for name, value in contents.items() if isinstance(value, _View) and isinstance(name, str)]
    if views:
        yield from views
        return
    for key in _WRAPPERS:
        inner = contents.get(key)
        if isinstance(inner, dict) and inner is not contents:
            yield from ((n, v) for n, v in inner.items() if isinstance(v, _View) and isinstance(n, str))
            return


def _persistent(pid: Any) -> _Storage:
    """("storage", class, key, device, elements) and, in the legacy format, (view key, offset, elements) or None."""
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or not isinstance(pid[1], _Kind):
        raise DamagedPickle("a storage of an unknown form")
    key, count = pid[2], pid[4]
    if not isinstance(key, str) or not _is_count(count):
        raise DamagedPickle("a storage of an unknown form")
    if len(pid) == 6 and pid[5] is not None:
        view = pid[5]
        if not isinstance(view, tuple) or len(view) != 3 or not all(_is_count(number) for number in view[1:]):
            raise DamagedPickle("a storage of an unknown form")
        return _Storage(key, pid[1].dtype, view[2], view[1])
    return _Storage(key, pid[1].dtype, count)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    if not isinstance(storage, _Storage) or storage.dtype is None:
        raise DamagedPickle("a tensor without a storage")
    return _view(storage, storage.dtype, offset, shape, strides)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, _gradient: Any, _hooks: Any, dtype: Any, *_: Any
) -> _View:
    """Tensors of the newer dtypes: the storage is bytes without a type."""
    if not isinstance(storage, _Storage) or not isinstance(dtype, _Kind) or dtype.dtype is None:
        raise DamagedPickle("a tensor without a storage")
    return _view(storage, dtype.dtype, offset, shape, strides)


def _view(storage: _Storage, dtype: np.dtype[Any], offset: Any, shape: Any, strides: Any) -> _View:
    is_sound = (
        isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= _MOST_DIMENSIONS
    )
    if not is_sound or not all(_is_count(number) for number in (offset, *shape, *strides)) or not is_possible(shape):
        raise DamagedPickle("a tensor with a strange shape")
    return _View(storage, dtype, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _rebuild_from_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    if function not in (_rebuild_tensor, _rebuild_tensor_v3, _rebuild_parameter) or not isinstance(arguments, tuple):
        raise DamagedPickle("a tensor of an unknown form")
    return function(*arguments)


def _size(*dimensions: Any) -> tuple[Any, ...]:
    """torch.Size is pickled as a call with one tuple."""
    return dimensions[0] if len(dimensions) == 1 and isinstance(dimensions[0], tuple) else ()


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _LARGEST_NUMBER


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": ordered_dict,
    "torch Size": _size,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    "torch._utils _rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor _rebuild_from_type_v2": _rebuild_from_type,
}
_NAMES: dict[str, Any] = {
    **_FUNCTIONS,
    **{f"torch {name}": _Kind(dtype) for name, dtype in _DTYPES.items()},
    **{f"torch {name}": _Kind(_DTYPES[dtype]) for name, dtype in _STORAGES.items()},
    "torch.storage UntypedStorage": _Kind(None),
    "torch Tensor": _Kind(None),
    "torch.nn.parameter Parameter": _Kind(None),
}
