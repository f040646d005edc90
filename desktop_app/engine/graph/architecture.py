"""The interface of an architecture of the graph runner: one sequence of tokens, and continuing it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from converter.gguf_header import GGUFHeader
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import ProgressCallback
from desktop_app.engine.state.snapshots import State
from models.errors import BadFile

LOGITS_CHUNK = 64
"""Positions whose logits are computed at once: 64 x 150,000 x 4 bytes are 38 MB."""
MOST_LAYERS = 1000
"""Ten times those of the largest published models."""


class GraphModel(Protocol):
    """A loaded model with its sequence."""

    tokens: list[int]
    """What the sequence holds; complete also after a computation that was stopped."""
    logits: np.ndarray
    """float32 [rows], after the last token."""
    context: int
    """Tokens that the sequence may hold; 0: no limit."""

    def load(self, on_progress: ProgressCallback) -> None:
        """Bring weights and state into memory."""
        ...

    def truncate(self, count: int, prompt: int = 0) -> None:
        """Shorten the sequence to `count` tokens, or fewer where the model cannot; see `desktop_app.engine.runner.Runner`."""
        ...

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback) -> None:
        """Append tokens and compute the logits after the last one."""
        ...

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), rows] of a fresh sequence."""
        ...

    @property
    def state_bytes(self) -> int:
        """Bytes of a full state; 0: small, or none."""
        ...

    def snapshot(self) -> None:
        """Take a snapshot that `truncate` can go back to; see `desktop_app.engine.runner.Runner`."""
        ...

    def states(self) -> Sequence[State]:
        """Return the snapshots and the state now; see `desktop_app.engine.runner.Runner`."""
        ...

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put states in the sequence's place; see `desktop_app.engine.runner.Runner`."""
        ...

    def read_state(self) -> dict[str, np.ndarray]:
        """Return what the model remembers of its tokens."""
        ...

    def write_state(self, tokens: list[int], state: Mapping[str, np.ndarray]) -> bool:
        """Take up what `read_state` returned for these tokens; False, and nothing changes: it is of another model."""
        ...

    def with_special(self, ids: list[int]) -> list[int]:
        """Return a text's ids with the special tokens around them."""
        ...

    def close(self) -> None:
        """Free graphs and state."""
        ...


class WithoutSnapshots(ABC):
    """The snapshot methods of a `GraphModel` with a key-value cache, which needs none because it can be truncated."""

    @abstractmethod
    def truncate(self, count: int, prompt: int = 0) -> None:
        """See `GraphModel`."""

    @property
    def state_bytes(self) -> int:
        """Nothing: there are no states."""
        return 0

    def snapshot(self) -> None:  # noqa: B027  (doing nothing is right here)
        """Do nothing: the cache can be shortened."""

    def states(self) -> Sequence[State]:
        """Return nothing: no state of this model is worth keeping."""
        return ()

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Begin anew: there are no such states of this model."""
        self.truncate(0)


class MakeModel(Protocol):
    """How an architecture's file is entered."""

    def __call__(self, weights: Weights, backends: Backends, settings: LoadSettings) -> GraphModel:
        """Read the hyperparameters and name the tensors; raises `BadFile` where the file has other ones."""
        ...


def whole_number(header: GGUFHeader, key: str, *, most: int = 1 << 20) -> int:
    """Return a hyperparameter below the architecture's prefix, from 1 to `most`; raises `BadFile`."""
    value: Any = header.parameter(key)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise BadFile(
            "{path}: {architecture}.{key} is {value!r}; convert the model again.",
            path=header.path,
            architecture=header.architecture,
            key=key,
            value=value,
        )
    return value


def real_number(header: GGUFHeader, key: str, default: float | None = None) -> float:
    """Return a positive hyperparameter; raises `BadFile`."""
    value: Any = header.parameter(key, default)
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise BadFile(
            "{path}: {architecture}.{key} is {value!r}; convert the model again.",
            path=header.path,
            architecture=header.architecture,
            key=key,
            value=value,
        )
    return float(value)
