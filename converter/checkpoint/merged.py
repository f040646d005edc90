"""A base and the adapters on it, read as one checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.listed_files import ListedFiles
from converter.checkpoint.lora import Adapter, AddedBias, LowRank, NewRows
from converter.checkpoint.prepared import PreparedCheckpoint
from converter.checkpoint.source_file import Rows
from converter.ggml import widen
from models.config import Config
from models.family import Shape
from models.sentence import Sentence


class MergedCheckpoint:
    """A base and the adapters on it, in their order, as one checkpoint.

    Nothing is merged before it is read. A change [rows, columns] is computed in float32 for the rows that are asked for, so that
    beside one tensor of the base only its two thin factors are in memory.
    """

    def __init__(
        self,
        base: Checkpoint,
        adapters: tuple[Adapter, ...],
        config: Config,
        tokenizer: Path,
        copies: Mapping[str, str],
        steps: tuple[Sentence, ...],
        notes: tuple[Sentence, ...] = (),
    ) -> None:
        """Join them; `converter.merging.open_merged` has checked that they fit.

        Args:
            base: the checkpoint below.
            adapters: each was trained on the result of the ones before it.
            config: the base's configuration with the merged model's vocabulary.
            tokenizer: the folder whose tokenizer counts.
            copies: tensors that the base lacks and what they begin as: a head that was tied to the embeddings.
            steps: what is merged.
            notes: what was done with the base that a user should know.
        """
        self._base = base
        self.adapters = adapters
        self.config = config
        self.tokenizer = tokenizer
        self.steps = steps
        self.notes = notes
        self._origins: dict[str, tuple[Checkpoint, str]] = {
            **{name: (base, name) for name in base.tensors},
            **{name: (base, source) for name, source in copies.items()},
        }
        self._changes: dict[str, list[tuple[Adapter, _Change]]] = {}
        for adapter in adapters:
            for name, key in adapter.whole.items():
                self._origins[name] = adapter.weights, key
                self._changes.pop(name, None)
            for changes in (adapter.low_rank, adapter.rows, adapter.biases):
                for name, change in changes.items():
                    self._changes.setdefault(name, []).append((adapter, change))
        stored = {name: home.tensors[key] for name, (home, key) in self._origins.items()}
        self.tensors: Mapping[str, StoredTensor] = stored | {
            name: StoredTensor(np.dtype(np.float32), self._shape(name, changes[0]))
            for name, changes in self._changes.items()
        }

    @property
    def path(self) -> Path:
        """The base's folder or file."""
        return self._base.path

    @property
    def listed(self) -> ListedFiles | None:
        """What an index lists of the base."""
        return self._base.listed if isinstance(self._base, PreparedCheckpoint) else None

    def read(self, name: str) -> np.ndarray:
        """Return one tensor, merged whole where an adapter changes it."""
        rows = self.merged_rows(name)
        if rows is not None:
            return np.asarray(rows)
        values = self._origin(name)
        for adapter, change in self._changes.get(name, ()):
            values = _in_memory(adapter, change).apply(widen(values), slice(None))
        return values

    def _origin(self, name: str) -> np.ndarray:
        """Return a tensor of the base; one that only an adapter has begins as zeros."""
        if name not in self._origins:
            return np.zeros(self.tensors[name].shape, np.float32)
        home, key = self._origins[name]
        return home.read(key)

    def _shape(self, name: str, first: tuple[Adapter, _Change]) -> Shape:
        if name not in self._origins and isinstance(first[1], AddedBias):
            return first[0].weights.tensors[first[1].key].shape
        home, key = self._origins[name]
        return home.tensors[key].shape

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read and merged when they are used, where that can be."""
        if name not in self._changes:
            home, key = self._origins[name]
            return home.rows(key)
        merged = self.merged_rows(name)
        return self.read(name) if merged is None else merged

    def merged_rows(self, name: str, order: np.ndarray | None = None) -> MergedRows | None:
        """Return a tensor's rows, in another order where one is given, each merged when it is asked for.

        None: no adapter changes the tensor, or a row's values depend on other rows (DoRA by columns).
        """
        changes = [_in_memory(adapter, change) for adapter, change in self._changes.get(name, ())]
        if not changes or any(change.by_column for change in changes):
            return None
        rows = self.tensors[name].shape[0]
        return MergedRows(self._origin(name), changes, np.arange(rows) if order is None else order)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self._base.check()
        for adapter in self.adapters:
            adapter.weights.check()

    def close(self) -> None:
        """Let go of the files."""
        self._base.close()
        for adapter in self.adapters:
            adapter.weights.close()


_Change = LowRank | NewRows | AddedBias


class _InMemory(Protocol):
    """A change that was read."""

    @property
    def by_column(self) -> bool:
        """Tell whether a row's values depend on other rows."""
        ...

    def apply(self, values: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return some rows of a float32 tensor, changed; `rows` are their numbers."""
        ...


def _in_memory(adapter: Adapter, change: _Change) -> _InMemory:
    if isinstance(change, LowRank):
        return _Factors.of(adapter, change)
    read = widen(adapter.weights.read(change.key))
    return _Replaced(change.indices, read) if isinstance(change, NewRows) else _Added(read * np.float32(change.scale))


@dataclass(frozen=True)
class _Factors:
    up: np.ndarray
    """float32 [rows, rank], the scale applied; [experts, rows, rank] for a stack."""
    down: np.ndarray
    """float32 [rank, columns]; [experts, rank, columns] for a stack."""
    magnitude: np.ndarray | None
    """float32 [rows], or [columns] where the change is `flipped`."""
    by_column: bool

    @staticmethod
    def of(adapter: Adapter, change: LowRank) -> _Factors:
        up, down = adapter.factors(change)
        magnitude = None if change.magnitude is None else widen(adapter.weights.read(change.magnitude))
        by_column = change.flipped and magnitude is not None
        return _Factors(up * np.float32(change.scale), np.ascontiguousarray(down), magnitude, by_column)

    def apply(self, values: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return W + up · down; DoRA then sets each row's (or column's) length."""
        merged: np.ndarray = self.up[rows] @ (self.down[rows] if self.down.ndim > 2 else self.down)
        merged += values
        if self.magnitude is None:
            return merged
        axis = 0 if self.by_column else 1
        length = np.sqrt(np.einsum("ij,ij->j" if self.by_column else "ij,ij->i", merged, merged, dtype=np.float64))
        chosen = self.magnitude if self.by_column else self.magnitude[rows]
        with np.errstate(all="ignore"):  # a row of zeros has no direction; the NaN is reported with the tensor's name
            merged *= np.expand_dims((chosen / length).astype(np.float32), axis)
        return merged


@dataclass(frozen=True)
class _Replaced:
    indices: Sequence[int]
    new: np.ndarray
    by_column: bool = False

    def apply(self, values: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        numbers = np.arange(len(values)) if isinstance(rows, slice) else rows
        places = {index: place for place, index in enumerate(self.indices)}
        replaced = [(at, places[number]) for at, number in enumerate(numbers.tolist()) if number in places]
        if not replaced:
            return values
        changed = values.copy()
        changed[[at for at, _ in replaced]] = self.new[[place for _, place in replaced]]
        return changed


@dataclass(frozen=True)
class _Added:
    vector: np.ndarray
    by_column: bool = False

    def apply(self, values: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        changed: np.ndarray = values + self.vector[rows]
        return changed


class MergedRows:
    """Float32 rows that are merged when NumPy asks for them; slicing gives another such object."""

    dtype = np.dtype(np.float32)

    def __init__(self, origin: np.ndarray, changes: Sequence[_InMemory], order: np.ndarray) -> None:
        """Take W [n, ...], its changes one after the other, and which of the n rows these are."""
        self._origin = origin
        self._changes = changes
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rows: slice) -> MergedRows:
        return MergedRows(self._origin, self._changes, self._order[rows])

    def __array__(self, dtype: np.dtype[np.float32] | None = None, copy: bool | None = None) -> np.ndarray:
        values = widen(self._origin[self._order])
        for change in self._changes:
            values = change.apply(values, self._order)
        return values
