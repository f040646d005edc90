"""Importance matrices: how much each input column of a weight matters, as llama.cpp's tools measure it.

Formats: GGUF (`general.type` "imatrix": tensors `X.in_sum2` and `X.counts`) and the older .dat (count; then for each tensor
its name, calls and values). Source: llama.cpp, tools/imatrix and common/imatrix-loader.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import write_file
from converter.checkpoint.gguf_file import GGUFFile
from converter.gguf_writer import aligned, lay_out
from models.errors import BadFile, ZhiyinError
from models.family import Metadata
from models.gguf_constants import GGMLQuantizationType
from models.regular_file import open_regular, read_regular
from models.system_reasons import system_reason

_SUMS, _COUNTS = ".in_sum2", ".counts"
_KEY = "zhiyin.imatrix.key"
_LARGEST_FILE = 1 << 30


@dataclass
class Sums:
    """The sums collected for one tensor."""

    values: np.ndarray
    """float32 [matrices, columns]: sums of the squared inputs; a mixture's experts have one matrix each."""
    counts: np.ndarray
    """int64 [matrices], or [1] for all of them: the tokens that were summed over."""


@dataclass(frozen=True)
class Collected:
    """An importance matrix in the making, as it is stored between two runs."""

    sums: Mapping[str, Sums]
    chunk_size: int
    """Tokens in a chunk of the text."""
    datasets: tuple[str, ...]
    """Where the text is from."""
    key: str = ""
    """What was measured on what: only a run of the same goes on with it."""

    @property
    def chunks(self) -> int:
        """Chunks that were read, counted as llama.cpp does."""
        most = max((int(sums.counts.max()) for sums in self.sums.values()), default=0)
        return most // self.chunk_size


@dataclass(frozen=True)
class Importance:
    """Weights of columns for each tensor of the GGUF file."""

    path: Path
    values: Mapping[str, np.ndarray]
    """float32 [matrices * columns]; a mixture's experts have one matrix each."""
    dataset: str
    chunks: int

    def of(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return float32 [matrices, columns] of one tensor, or None where nothing was measured.

        Raises:
            BadFile: it was measured on a model of another shape.
        """
        values = self.values.get(name)
        if values is None:
            return None
        matrices = shape[0] if len(shape) == 3 else 1
        if values.size != matrices * shape[-1]:
            if name == "token_embd.weight":  # measured nowhere: a look-up has no input columns
                return None
            raise BadFile(
                "{path} was made for another model: {tensor} has {columns} columns there and {expected} here; make "
                "it with the same model.",
                path=self.path,
                tensor=name,
                columns=values.size,
                expected=matrices * shape[-1],
            )
        return values.reshape(matrices, shape[-1])

    @property
    def metadata(self) -> Metadata:
        """The keys that tell how a file was quantized."""
        pairs: Metadata = {"quantize.imatrix.file": self.path.name}
        if self.dataset:
            pairs["quantize.imatrix.dataset"] = self.dataset
        pairs["quantize.imatrix.entries_count"] = len(self.values)
        if self.chunks > 0:
            pairs["quantize.imatrix.chunks_count"] = self.chunks
        return pairs


def read_importance(path: Path) -> Importance:
    """Read an importance matrix of either format.

    Raises:
        BadFile: it is missing, damaged, or holds NaN or infinity.
    """
    try:
        with open_regular(path) as file:
            is_gguf = file.read(4) == b"GGUF"
        importance = _read_gguf(path) if is_gguf else _read_legacy(path)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    if not importance.values:
        raise BadFile("{path} holds no importance matrix; name a file that llama-imatrix wrote.", path=path)
    for name, values in importance.values.items():
        if not np.isfinite(values).all():
            raise BadFile(
                "{path} holds NaN or infinity for {tensor}; make the importance matrix again.",
                path=path,
                tensor=name[:80],
            )
    return importance


def write_collected(path: Path, collected: Collected) -> None:
    """Write an importance matrix as llama-imatrix does, whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, sums in sorted(collected.sums.items()):
        arrays[f"{name}{_SUMS}"] = np.ascontiguousarray(sums.values, "<f4").reshape(len(sums.counts), -1)
        arrays[f"{name}{_COUNTS}"] = sums.counts.astype("<f4").reshape(-1, 1)
    metadata: Metadata = {
        "general.type": "imatrix",
        "imatrix.datasets": list(collected.datasets),
        "imatrix.chunk_count": collected.chunks,
        "imatrix.chunk_size": collected.chunk_size,
    }
    if collected.key:
        metadata[_KEY] = collected.key
    layout = lay_out(metadata, [(name, array.shape, GGMLQuantizationType.F32) for name, array in arrays.items()])

    def write(file: BinaryIO) -> None:
        file.write(layout.header)
        for placed, array in zip(layout.tensors, arrays.values(), strict=True):
            file.write(array.tobytes())
            file.write(bytes(aligned(placed.size) - placed.size))

    write_file(path, write)


def read_collected(path: Path) -> Collected | None:
    """Return what `write_collected` wrote with a key; None: it is not there, or damaged."""
    try:
        file = GGUFFile(path)
    except (ZhiyinError, OSError):
        return None
    try:
        names = [name.removesuffix(_SUMS) for name in file.tensors if name.endswith(_SUMS)]
        sums = {name: _sums(file, name) for name in names}
    except (ZhiyinError, OSError, KeyError, ValueError):
        return None
    finally:
        file.close()
    metadata = file.header.metadata
    size, key, datasets = (metadata.get(name) for name in ("imatrix.chunk_size", _KEY, "imatrix.datasets"))
    if not (isinstance(size, int) and size > 0 and isinstance(key, str) and isinstance(datasets, list)):
        return None
    return Collected(sums, size, tuple(map(str, datasets)), key)


def _sums(file: GGUFFile, name: str) -> Sums:
    counts = np.array(file.read(name + _COUNTS), np.float32).reshape(-1)
    values = np.array(file.read(name + _SUMS), np.float32)
    if not (np.isfinite(counts).all() and np.isfinite(values).all()) or counts.min() < 0:
        raise ValueError(name)
    return Sums(values.reshape(len(counts), -1), counts.astype(np.int64))


def _read_gguf(path: Path) -> Importance:
    file = GGUFFile(path)
    values = {}
    for name in file.tensors:
        counts_name = name.removesuffix(_SUMS) + _COUNTS
        if not name.endswith(_SUMS) or counts_name not in file.tensors:
            continue
        counts = np.array(file.read(counts_name), np.float32).reshape(-1, 1)
        sums = np.array(file.read(name), np.float32)
        if not counts.size or sums.size % counts.size:
            raise BadFile(
                "{path} is damaged: {tensor} does not fit its counts; make it again.", path=path, tensor=name[:80]
            )
        sums = sums.reshape(len(counts), -1)
        with np.errstate(all="ignore"):  # what overflows is refused below
            mean = np.divide(sums, counts, out=np.ones_like(sums), where=counts > 0)
        values[name.removesuffix(_SUMS)] = mean.reshape(-1)
    metadata = file.header.metadata
    datasets = metadata.get("imatrix.datasets")
    chunks = metadata.get("imatrix.chunk_count")
    file.close()
    dataset = str(datasets[0]) if isinstance(datasets, list) and datasets else ""
    return Importance(path, values, dataset, chunks if isinstance(chunks, int) else 0)


def _read_legacy(path: Path) -> Importance:
    if path.stat().st_size > _LARGEST_FILE:
        raise BadFile("{path} is larger than any importance matrix; name a file that llama-imatrix wrote.", path=path)
    data = read_regular(path)
    values: dict[str, np.ndarray] = {}
    try:
        (entries,), at = struct.unpack_from("<i", data), 4
        for _ in range(entries):
            name, at = _text(data, at)
            values[name], at = _columns(data, at)
        if at == len(data):
            return Importance(path, values, "", 0)
        (chunks,) = struct.unpack_from("<i", data, at)
        dataset, _ = _text(data, at + 4)
    except (struct.error, ValueError) as error:
        raise BadFile(
            "{path} is truncated or no importance matrix; name a file that llama-imatrix wrote.", path=path
        ) from error
    return Importance(path, values, dataset, chunks)


def _columns(data: bytes, at: int) -> tuple[np.ndarray, int]:
    """Return an entry's means and where the next entry begins."""
    calls, count = struct.unpack_from("<ii", data, at)
    if count < 0:  # the next entry would begin before this one
        raise ValueError(count)
    sums = np.frombuffer(data, "<f4", count, at + 8)
    with np.errstate(all="ignore"):  # what overflows is refused by the caller
        return sums / np.float32(calls) if calls > 0 else sums, at + 8 + 4 * count


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<i", data, at)
    if not 0 <= length <= len(data) - at - 4:
        raise ValueError(length)
    return data[at + 4 : at + 4 + length].decode("utf-8", "replace"), at + 4 + length
