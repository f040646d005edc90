"""A sequence's state in a file: its tokens and the arrays of its cache or recurrent state, as NumPy's .npz."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.errors import ZhiyinError

_TOKENS, _ARCHITECTURE = "tokens", "architecture"


def write_state_file(path: Path, architecture: str, tokens: Sequence[int], state: dict[str, np.ndarray]) -> int:
    """Write a state; return its bytes.

    Raises:
        ZhiyinError: it cannot be written.
    """
    arrays = {
        _TOKENS: np.array(tokens, np.int32),
        _ARCHITECTURE: np.frombuffer(architecture.encode(), np.uint8),
        **state,
    }
    try:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            return file.tell()
    except OSError as error:
        raise ZhiyinError(
            f"The state could not be written to {path}; free disk space or choose another folder."
        ) from error


def read_state_file(path: Path, architecture: str) -> tuple[list[int], dict[str, np.ndarray]] | None:
    """Return the tokens and arrays of a state, or None for anything that is not a state of this architecture."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None
    tokens, owner = arrays.pop(_TOKENS, None), arrays.pop(_ARCHITECTURE, None)
    if tokens is None or owner is None or tokens.dtype != np.int32 or owner.tobytes() != architecture.encode():
        return None
    return tokens.tolist(), arrays
