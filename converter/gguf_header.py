"""The header of a GGUF file: metadata and the list of tensors, without touching the weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The file is untrusted:
every length is checked against the bytes that are really there before anything is allocated.
"""

from __future__ import annotations

import os
import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from converter.checkpoint import is_possible
from models.errors import BadFile, UnsupportedModel
from models.gguf_constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from models.regular_file import open_regular
from models.sentence import Sentence
from models.system_reasons import system_reason

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_SHORT_ARRAY = 64
"""Elements that are read in any case: stop texts, a number for each layer."""
_MOST_DIMENSIONS = 4
_MOST_ENTRIES = 65_536
"""Pairs, and tensors; the largest models have some thousands."""
_MOST_ELEMENTS = 2_500_000
"""Of all arrays together, twice what the largest vocabularies need: an element of 1 byte in the file takes 60 in memory."""
_LONGEST_NAME = 4096
_READ_AHEAD = 256 * 1024
"""Bytes of a file."""
_SHORT_READ = 4096
"""Bytes that texts are cut from."""
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
NO_WEIGHTS = frozenset(map(GGMLQuantizationType.__getitem__, ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")))
"""Types without a product in ggml, which would end the process: whole numbers, doubles, and what it rounds activations to."""
_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.gguf)", re.DOTALL | re.IGNORECASE)
_MOST_PARTS = 1000


Spans = MutableMapping[tuple[str, int], int]
"""Bytes of long arrays of texts, by their key and their number of texts."""


class Bytes(Protocol):
    """A file's bytes, wherever they are."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


@dataclass(frozen=True)
class ArrayLength:
    """Stands for an array that was skipped."""

    length: int
    start: int = field(default=0, compare=False)
    """Bytes from the start of the file to its first element."""


@dataclass(frozen=True)
class GGUFTensor:
    """Where a tensor lies and what it is."""

    name: str
    type: GGMLQuantizationType
    shape: tuple[int, ...]
    """Row-major, the reverse of the order in the file."""
    offset: int
    """Bytes from the start of the file."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class GGUFHeader:
    """Metadata and tensors of one GGUF file."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GGUFTensor] = field(repr=False)
    types: dict[str, int] = field(default_factory=dict, repr=False)
    """Every value's type, as `gguf.constants.GGUFValueType` numbers them."""
    data_offset: int = 0
    encoded: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Every value's bytes in the file, its type included, where they were asked for."""

    @property
    def alignment(self) -> int:
        """The alignment of tensors' offsets in bytes."""
        return int(self.metadata.get("general.alignment", _ALIGNMENT))

    @property
    def architecture(self) -> str:
        """`general.architecture`."""
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def quantization(self) -> str:
        """`general.file_type` in words, Q4_K_M and so on; "" when the file does not say."""
        kind = self.metadata.get("general.file_type")
        if not isinstance(kind, int) or kind not in {item.value for item in LlamaFileType}:
            return ""
        return LlamaFileType(kind).name.replace("MOSTLY_", "").replace("ALL_", "")

    def text(self, key: str) -> str | None:
        """Return a text of the metadata, None where it is missing; raises `BadFile` where it is something else."""
        value = self.metadata.get(key)
        if value is not None and not isinstance(value, str):
            raise BadFile("{path} is damaged: {key} is no text; download or convert it again.", path=self.path, key=key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a short list of texts, () where it is missing; raises `BadFile` where it is something else."""
        values = self.metadata.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BadFile(
                "{path} is damaged: {key} is no list of texts; download or convert it again.", path=self.path, key=key
            )
        return tuple(values)

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything below the architecture's prefix, without it."""
        prefix = f"{self.architecture}."
        return {key.removeprefix(prefix): value for key, value in self.metadata.items() if key.startswith(prefix)}

    def parameter(self, key: str, default: Any = None) -> Any:
        """Return a value below the architecture's prefix, such as `block_count`."""
        return self.metadata.get(f"{self.architecture}.{key}", default)


def is_gguf(path: Path) -> bool:
    """Tell by its first bytes, not by its name, whether a path is that of a GGUF file; a text may begin with its name."""
    try:
        with open_regular(path) as file:
            first = file.read(8)
        versions = (int.from_bytes(first[4:], order) for order in ("little", "big"))
        return first[:4] == _MAGIC and len(first) == 8 and min(versions) < 1 << 16
    except (OSError, ValueError, BadFile):  # ValueError: a path with a null byte
        return False


def is_named_gguf(path: Path) -> bool:
    """Tell whether a path is that of a GGUF file, or called one: then a reader says what it is instead."""
    return path.suffix.lower() == ".gguf" or is_gguf(path)


def is_first_part(path: Path) -> bool:
    """Tell whether a file name is that of a whole model, or of the first part of a split one."""
    match = _split(path)
    return match is None or int(match[2]) == 1


def part_paths(path: Path) -> list[Path]:
    """Return where all parts of a split model are to be, by the ecosystem's names `model-00001-of-00003.gguf`."""
    match = _split(path)
    if match is None:
        return [path]
    return [path.with_name(f"{match[1]}-{n + 1:05}-of-{match[3]}{match[4]}") for n in range(int(match[3]))]


def model_path(path: Path) -> Path:
    """Return the path of a model, whatever number of parts it has: without `-00001-of-00003`."""
    match = _split(path)
    return path if match is None else path.with_name(f"{match[1]}{match[4]}")


def split_parts(path: Path) -> list[Path]:
    """Return `part_paths`.

    Raises:
        BadFile: a part is missing.
    """
    parts = part_paths(path)
    missing = [part.name for part in parts if not part.is_file()]
    if missing and len(parts) > 1:
        raise BadFile(
            "{folder} lacks {names} ({part} of {total} parts); download them.",
            folder=path.parent,
            names=", ".join(missing[:4]),
            part=len(missing),
            total=len(parts),
        )
    return parts


def _split(path: Path) -> re.Match[str] | None:
    match = _PART.fullmatch(path.name)
    possible = match is not None and 1 <= int(match[2]) <= int(match[3]) and 1 < int(match[3]) <= _MOST_PARTS
    return match if possible else None


def read_gguf_header(path: Path, *, arrays: bool = True, encoded: bool = False) -> GGUFHeader:
    """Read the header of a GGUF file.

    Args:
        path: the file; of a split model, any part.
        arrays: False leaves long arrays out (an `ArrayLength` stands for each), which is much faster for large vocabularies.
        encoded: keep the metadata's bytes too, to write them unchanged into another file.

    Raises:
        BadFile: missing, not GGUF, truncated or damaged.
        UnsupportedModel: a GGUF version or tensor type that is not known here.
    """
    try:
        with open_regular(path, buffering=0) as file:
            return _Parser(path, _FileBytes(path, file), arrays, encoded, {}).header()
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error


def all_tensors(header: GGUFHeader) -> dict[str, GGUFTensor]:
    """Return the tensors of all parts of a model, whose first part's header was read.

    Raises:
        BadFile: a part is missing or damaged.
    """
    others = (read_gguf_header(path, arrays=False) for path in split_parts(header.path) if path != header.path)
    return {name: tensor for part in (header, *others) for name, tensor in part.tensors.items()}


def read_texts(header: GGUFHeader, key: str) -> list[bytes]:
    """Return the texts of an array that was skipped, as they are in the file; [] where the value is no such array.

    Raises:
        BadFile: the file cannot be read.
    """
    value = header.metadata.get(key)
    if not isinstance(value, ArrayLength):
        return [text.encode() for text in value if isinstance(text, str)] if isinstance(value, list) else []
    try:
        with open_regular(header.path, buffering=0) as file:
            parser = _Parser(header.path, _FileBytes(header.path, file), arrays=True, encoded=False, spans={})
            parser.at = value.start
            return list(parser.blobs(value.length))
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=header.path, reason=system_reason(error)) from error


def read_numbers(header: GGUFHeader, key: str) -> list[int]:
    """Return an array of signed 32-bit numbers, the type that llama.cpp insists on; [] where the value is no array.

    Raises:
        BadFile: the file cannot be read.
    """
    return _read_values(header, key, int, "i")


def read_floats(header: GGUFHeader, key: str) -> list[float]:
    """Return an array of 32-bit floats; [] where the value is no array.

    Raises:
        BadFile: the file cannot be read.
    """
    return _read_values(header, key, float, "f")


def _read_values(header: GGUFHeader, key: str, kind: type[Any], code: str) -> list[Any]:
    """Return an array of numbers; `code`: its type as `array` calls it."""
    value = header.metadata.get(key)
    if not isinstance(value, ArrayLength):
        return value if isinstance(value, list) and all(isinstance(number, kind) for number in value) else []
    numbers = array(code)
    try:
        with open_regular(header.path) as file:
            file.seek(value.start)
            numbers.frombytes(file.read(value.length * numbers.itemsize))
    except (OSError, ValueError) as error:
        reason = system_reason(error)
        raise BadFile("{path} cannot be read: {reason}.", path=header.path, reason=reason) from error
    return numbers.tolist()


def read_array_bytes(header: GGUFHeader, key: str) -> bytes:
    """Return an array of single bytes that was skipped; b"" where the value is no such array.

    Raises:
        BadFile: the file cannot be read.
    """
    value = header.metadata.get(key)
    if not isinstance(value, ArrayLength):
        return bytes(number & 255 for number in value if isinstance(number, int)) if isinstance(value, list) else b""
    try:
        with open_regular(header.path) as file:
            file.seek(value.start)
            return file.read(value.length)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=header.path, reason=system_reason(error)) from error


def read_remote_header(path: Path, data: Bytes, spans: Spans) -> GGUFHeader:
    """Read the header of a GGUF file that is not here, without its long arrays, from as few of its bytes as possible.

    Args:
        path: what sentences call it.
        data: its bytes, read from front to back.
        spans: what is known of other files of the same model: arrays of the same key and number of texts are taken to be as long,
            and skipped. What is found out is added.

    Raises:
        BadFile: not GGUF, damaged, or a text array is not as long as `spans` says.
        UnsupportedModel: a GGUF version or tensor type that is not known here.
    """
    return _Parser(path, data, arrays=False, encoded=False, spans=spans).header()


def _not_gguf(path: Path) -> BadFile:
    return BadFile(
        "{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.", path=path
    )


class _FileBytes:
    """A file's bytes, read ahead a little; a mapped file that is shortened would end the process (SIGBUS)."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._data = b""
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end = part.start or 0, part.stop  # `slice.indices` takes longer than all the rest
        if self._start <= start and end <= self._end:
            return self._data[start - self._start : end - self._start]
        if end - start > _READ_AHEAD:
            return self._read(start, end)
        self._start, self._end = start, min(start + _READ_AHEAD, self._size)
        self._data = self._read(self._start, self._end)
        return self._data[: end - start]

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        data = bytearray()
        while len(data) < end - start:
            more = self._file.read(end - start - len(data))
            if not more:
                raise BadFile("{path} is truncated: its header ends in the middle; download it again.", path=self._path)
            data += more
        return bytes(data)


class _Parser:
    """A cursor over the file's bytes."""

    def __init__(self, path: Path, data: Bytes, arrays: bool, encoded: bool, spans: Spans) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.at = 4
        self.arrays = arrays
        self.encoded: dict[str, bytes] | None = {} if encoded else None
        self.spans = spans
        self.elements_left = _MOST_ELEMENTS

    def header(self) -> GGUFHeader:
        if self.data[:4] != _MAGIC:
            raise _not_gguf(self.path)
        version = self.scalar("<I")
        if version not in _VERSIONS:
            raise UnsupportedModel(
                "{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.",
                path=self.path,
                version=version,
            )
        tensor_count, pair_count = self.scalar("<Q"), self.scalar("<Q")
        self.check(pair_count * 13 + tensor_count * 24)
        if max(tensor_count, pair_count) > _MOST_ENTRIES:
            raise self.damaged(
                Sentence(
                    "it claims {tensors} tensors and {pairs} metadata values", tensors=tensor_count, pairs=pair_count
                )
            )
        pairs = [self.pair() for _ in range(pair_count)]
        metadata = {name: value for name, _, value in pairs}
        raw = [self.tensor() for _ in range(tensor_count)]
        self.check_distinct([name for name, *_ in pairs])
        self.check_distinct([name for name, *_ in raw])
        alignment = metadata.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise self.damaged(Sentence("its alignment is {alignment}", alignment=alignment))
        start = -(-self.at // alignment) * alignment
        tensors = {name: self.located(name, kind, shape, start + offset) for name, kind, shape, offset in raw}
        types = {name: type_ for name, type_, _ in pairs}
        return GGUFHeader(self.path, metadata, tensors, types, start, self.encoded or {})

    def pair(self) -> tuple[str, int, Any]:
        name, start = self.string(), self.at
        type_ = self.scalar("<I")
        value = self.value(name, type_)
        if self.encoded is not None:
            self.encoded[name] = self.data[start : self.at]
        return name, type_, value

    def check_distinct(self, names: Sequence[str]) -> None:
        """Refuse a name that stands there twice: which of the two counts is anybody's guess."""
        if len(set(names)) < len(names):
            ((name, _),) = Counter(names).most_common(1)
            raise self.damaged(Sentence("it holds {name!r} twice", name=name[:60]))

    def value(self, name: str, kind: int) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array(name)
        raise self.damaged(Sentence("it holds a value of unknown kind {kind}", kind=kind))

    def array(self, name: str) -> Any:
        kind, length = self.scalar("<I"), self.scalar("<Q")
        if kind == _STRING:
            self.check(length * 8)
            self.count(length)
            if self.arrays or length <= _SHORT_ARRAY:
                return [self.text(blob) for blob in self.blobs(length)]
            start = self.at
            self.skip_texts(name, length)
            return ArrayLength(length, start)
        if kind not in _SCALARS:
            raise self.damaged(Sentence("it holds an array of unknown kind {kind}", kind=kind))
        code = _SCALARS[kind][1]
        size = struct.calcsize("<" + code) * length
        self.check(size)
        start, self.at = self.at, self.at + size
        if not self.arrays and length > _SHORT_ARRAY:
            return ArrayLength(length, start)
        self.count(length)
        return list(struct.unpack(f"<{length}{code}", self.data[start : self.at]))

    def skip_texts(self, name: str, length: int) -> None:
        start, known = self.at, self.spans.get((name, length))
        if known is not None:
            self.check(known)
            self.at += known
            return
        for _ in self.blobs(length):
            pass
        self.spans[name, length] = self.at - start

    def count(self, elements: int) -> None:
        self.elements_left -= elements
        if self.elements_left < 0:
            raise self.damaged(Sentence("its arrays are longer than any vocabulary"))

    def tensor(self) -> tuple[str, int, tuple[int, ...], int]:
        name = self.string()
        count = self.scalar("<I")
        if len(name) > _LONGEST_NAME or count > _MOST_DIMENSIONS:
            raise self.damaged(Sentence("tensor {tensor!r} has {count} dimensions", tensor=name[:60], count=count))
        shape = tuple(self.scalar("<Q") for _ in range(count))
        return name, self.scalar("<I"), shape[::-1], self.scalar("<Q")

    def located(self, name: str, kind: int, shape: tuple[int, ...], offset: int) -> GGUFTensor:
        try:
            type_ = GGMLQuantizationType(kind)
        except ValueError:
            raise UnsupportedModel(
                "{path}: tensor {tensor} has type {kind}, newer than this version of Zhiyin: update Zhiyin.",
                path=self.path,
                tensor=name,
                kind=kind,
            ) from None
        block, block_bytes = GGML_QUANT_SIZES[type_]
        if shape and shape[-1] % block:
            raise self.damaged(
                Sentence(
                    "tensor {tensor} has rows of {count}, which {type} cannot hold",
                    tensor=name,
                    count=shape[-1],
                    type=type_.name,
                )
            )
        if not is_possible(shape):
            raise self.damaged(Sentence("tensor {tensor} has dimensions that no file can hold", tensor=name))
        size = prod(shape) // block * block_bytes
        if offset + size > self.size:
            missing = offset + size - self.size
            raise BadFile(
                "{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.",
                path=self.path,
                tensor=name,
                count=missing,
            )
        return GGUFTensor(name, type_, shape, offset, size)

    def string(self) -> str:
        return self.text(self.blob())

    def text(self, blob: bytes) -> str:
        return blob.decode("utf-8", "replace")

    def blob(self) -> bytes:
        start = self.at + 8
        self.check(8)
        end = start + int.from_bytes(self.data[self.at : start], "little")
        self.at = start
        self.check(end - start)
        self.at = end
        return self.data[start:end]

    def blobs(self, count: int) -> Iterator[bytes]:
        """Yield `count` blobs: what `blob` returns, several times as fast where they are short."""
        data, at = b"", 0
        for _ in range(count):
            start = at + 8
            end = start + int.from_bytes(data[at:start], "little")
            if start <= end <= len(data):
                yield data[start:end]
                at = end
                continue
            self.at += at
            yield self.blob()
            data, at = self.data[self.at : min(self.at + _SHORT_READ, self.size)], 0
        self.at += at

    def scalar(self, code: str) -> Any:
        size = struct.calcsize(code)
        self.check(size)
        (value,) = struct.unpack(code, self.data[self.at : self.at + size])
        self.at += size
        return value

    def check(self, size: int) -> None:
        if size > self.size - self.at:
            raise BadFile("{path} is truncated: its header ends in the middle; download it again.", path=self.path)

    def damaged(self, what: Sentence) -> BadFile:
        return BadFile("{path} is damaged: {what}; download it again.", path=self.path, what=what)
