"""A sequence's state in a file: its tokens and the arrays of its cache or recurrent state, as NumPy's .npz."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import write_file
from models.errors import ZhiyinError

_TOKENS, _OWNER = "tokens", "owner"


def write_state_file(path: Path, owner: str, tokens: Sequence[int], state: Mapping[str, np.ndarray]) -> int:
    """Write a state that `owner` names the model of, whole or not at all; return its bytes.

    Raises:
        ZhiyinError: it cannot be written.
    """
    arrays = {_TOKENS: np.array(tokens, np.int32), _OWNER: np.frombuffer(owner.encode(), np.uint8), **state}

    def write(file: BinaryIO) -> int:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.tell()

    try:
        return write_file(path, write, private=True)
    except OSError as error:
        raise ZhiyinError(
            "The state could not be written to {path}; free disk space or choose another folder.", path=path
        ) from error


def read_state_file(
    path: Path, owner: str, wanted: Collection[str] | None = None
) -> tuple[list[int], dict[str, np.ndarray]] | None:
    """Return the tokens and arrays of a state, or None for anything that is not a whole state of this owner.

    Args:
        path: the file.
        owner: as it was written.
        wanted: the names of the arrays to read; None: all.
    """
    try:
        with np.load(path, allow_pickle=False) as file:  # zip's checksums tell damage
            tokens, written_for = file[_TOKENS], file[_OWNER]
            names = set(file.files) - {_TOKENS, _OWNER}
            arrays = {name: file[name] for name in names if wanted is None or name in wanted}
    except Exception:  # what NumPy and zipfile raise over damaged files has no common kind
        return None
    if tokens.dtype != np.int32 or tokens.ndim != 1 or written_for.tobytes() != owner.encode():
        return None
    return tokens.tolist(), arrays
