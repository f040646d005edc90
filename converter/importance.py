"""Importance matrices: how much each input column of a weight matters, as llama.cpp's tools measure it.

Formats: GGUF (`general.type` "imatrix": tensors `X.in_sum2` and `X.counts`) and the older .dat (count; then for each tensor
its name, calls and values). Source: llama.cpp, tools/imatrix and common/imatrix-loader.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.checkpoint.gguf_file import GGUFFile
from models.errors import BadFile
from models.family import Metadata
from models.regular_file import open_regular, read_regular

_SUMS, _COUNTS = ".in_sum2", ".counts"
_LARGEST_FILE = 1 << 30


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
        found = _read_gguf(path) if is_gguf else _read_legacy(path)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error) from error
    if not found.values:
        raise BadFile("{path} holds no importance matrix; name a file that llama-imatrix wrote.", path=path)
    for name, values in found.values.items():
        if not np.isfinite(values).all():
            raise BadFile(
                "{path} holds NaN or infinity for {tensor}; make the importance matrix again.",
                path=path,
                tensor=name[:80],
            )
    return found


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
