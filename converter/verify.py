"""Checks a file that was just written by reading it back: nothing is taken from memory but the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.checkpoint.gguf_file import GGUFFile
from converter.ggml import is_valid
from converter.gguf_header import read_gguf_header
from converter.gguf_writer import Layout
from models.errors import BadFile
from models.sentence import Sentence

_PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Verification:
    """The result of reading back the finished files."""

    bytes: int
    tensors: int
    types: dict[str, int]
    """How many tensors there are of each type."""
    smoke_load: Sentence | None = None
    """What the engine did with the file; None: it was not asked."""


def verify(files: Sequence[tuple[Path, Layout]], threads: int, on_tensor: Callable[[str, int], None]) -> Verification:
    """Read the files again and compare them with their layouts.

    Args:
        files: each file and what it should be.
        threads: how many read at once.
        on_tensor: told each tensor that was read and its bytes; raises to stop.

    Raises:
        BadFile: a size, offset, type or shape differs, or values are NaN or infinite.
    """
    types: Counter[str] = Counter()
    for path, layout in files:
        _compare(path, layout)
        _check_values(path, threads, on_tensor)
        types.update(tensor.type.name for tensor in layout.tensors)
    size = sum(path.stat().st_size for path, _ in files)
    return Verification(size, types.total(), dict(sorted(types.items())))


def not_what_was_written(path: Path) -> BadFile:
    """Return the sentence for a file that is not the one that was written, or not any more."""
    return BadFile("{path} is not what was written; check the disk, then convert again.", path=path)


def _compare(path: Path, layout: Layout) -> None:
    header = read_gguf_header(path, arrays=False)
    differing = [
        (tensor.name, tensor.shape, tensor.type, tensor.offset - header.data_offset, tensor.size)
        for tensor in header.tensors.values()
    ]
    wanted = [(tensor.name, tensor.shape, tensor.type, tensor.offset, tensor.size) for tensor in layout.tensors]
    if differing != wanted or path.stat().st_size != layout.size or header.data_offset != len(layout.header):
        raise not_what_was_written(path)


def _check_values(path: Path, threads: int, on_tensor: Callable[[str, int], None]) -> None:
    file = GGUFFile(path, alone=True)

    def bad(name: str) -> bool:
        rows, type_ = file.encoded_rows(name), file.types[name]
        step = max(1, _PIECE_BYTES // max(1, rows.shape[1]))
        return not all(is_valid(np.asarray(rows[at : at + step]), type_) for at in range(0, len(rows), step))

    try:
        with ThreadPoolExecutor(threads, "verify") as pool:
            for name, is_bad in zip(file.tensors, pool.map(bad, file.tensors), strict=True):
                on_tensor(name, file.header.tensors[name].size)
                if is_bad:
                    raise BadFile(
                        "Tensor {tensor} holds NaN or infinity after conversion; the checkpoint is damaged or "
                        "overflows this type: download it again or choose another --quant.",
                        tensor=name,
                    )
    finally:
        file.close()
