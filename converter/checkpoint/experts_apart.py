"""Experts that a checkpoint packs into one tensor, each as a tensor of its own, for families whose files have them apart.

transformers 5 holds a mixture's experts as `gate_up_proj` [experts, 2 · rows, columns] and `down_proj`, and takes them apart when
it saves; what others save of its models has them packed. Apple's MLX packs each matrix by itself (`switch_mlp`).
Source: transformers, conversion_mapping.py; mlx-lm, models/switch_layers.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.scaled import ScaledCheckpoint
from converter.checkpoint.source_file import Rows

_FIRST = re.compile(r".+\.(?P<mixture>[^.]+)\.experts\.0\.(?P<part>[^.]+)\.weight")
_APART = re.compile(r".+\.experts\.\d+\.[^.]+\.weight")
_PACKED = re.compile(r"(?P<above>.+\.)mlp\.(?:experts|switch_mlp)\.(?P<part>gate_up|gate|up|down)_proj(?:\.weight)?")
_ROUTER = re.compile(r"(?P<above>.+\.)mlp\.(?P<rest>gate\.weight)")
_MIXTRALS = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
_HALVES = {"gate": 0, "up": 1}


class _Place(NamedTuple):
    """Where one expert's matrix lies."""

    packed: str
    expert: int
    rows: slice


class ExpertsApart:
    """Another checkpoint, with names of single experts in place of packed ones."""

    def __init__(self, inner: Checkpoint, places: Mapping[str, _Place], renamed: Mapping[str, str]) -> None:
        """Take where each expert's matrix lies, and the stored names of the other tensors by their new ones."""
        self._inner = inner
        self._places = places
        self._renamed = renamed
        self.tensors: Mapping[str, StoredTensor] = {name: inner.tensors[own] for name, own in renamed.items()} | {
            name: self._tensor(place) for name, place in places.items()
        }

    @property
    def path(self) -> Path:
        """The folder or file of the inner checkpoint."""
        return self._inner.path

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory."""
        return np.asarray(self.rows(name))

    def rows(self, name: str) -> Rows:
        """Return one tensor, an expert's rows read when they are used."""
        place = self._places.get(name)
        if place is None:
            return self._inner.rows(self._renamed[name])
        return _ExpertRows(self._inner.rows(place.packed), place.expert, place.rows)

    def stored_names(self, name: str) -> tuple[str, ...]:
        """Return the stored tensors that one is read from."""
        own = self._places[name].packed if name in self._places else self._renamed[name]
        return self._inner.stored_names(own) if isinstance(self._inner, ScaledCheckpoint) else (own,)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self._inner.check()

    def close(self) -> None:
        """Let go of the files."""
        self._inner.close()

    def _tensor(self, place: _Place) -> StoredTensor:
        packed = self._inner.tensors[place.packed]
        return StoredTensor(packed.dtype, (place.rows.stop - place.rows.start, packed.shape[2]))


def with_experts_apart(inner: Checkpoint, wanted: Collection[str]) -> Checkpoint:
    """Return a checkpoint whose packed experts are apart, where a model of the tensors `wanted` has them so."""
    first = next((match for name in wanted if (match := _FIRST.fullmatch(name))), None)
    if first is None or any(map(_APART.fullmatch, inner.tensors)):
        return inner
    is_mixtral = first["part"] in _MIXTRALS.values()
    places: dict[str, _Place] = {}
    renamed: dict[str, str] = {}
    for name, tensor in inner.tensors.items():
        packed = _PACKED.fullmatch(name)
        if packed is not None and len(tensor.shape) == 3:
            places |= _places(name, tensor, packed, first["mixture"], _MIXTRALS if is_mixtral else {})
            continue
        router = _ROUTER.fullmatch(name)
        renamed[name if router is None else f"{router['above']}{first['mixture']}.{router['rest']}"] = name
    return ExpertsApart(inner, places, renamed) if places else inner


def _places(
    name: str, tensor: StoredTensor, packed: re.Match[str], mixture: str, words: Mapping[str, str]
) -> dict[str, _Place]:
    count, rows = tensor.shape[0], tensor.shape[1]
    half = rows // 2
    parts = (
        {f"{part}_proj": slice(at * half, (at + 1) * half) for part, at in _HALVES.items()}
        if packed["part"] == "gate_up"
        else {f"{packed['part']}_proj": slice(0, rows)}
    )
    return {
        f"{packed['above']}{mixture}.experts.{expert}.{words.get(part, part)}.weight": _Place(name, expert, chosen)
        for expert in range(count)
        for part, chosen in parts.items()
    }


class _ExpertRows:
    """Rows of one expert's matrix that are read when NumPy asks for them; slicing gives another such object."""

    def __init__(self, packed: Rows, expert: int, rows: slice) -> None:
        self._packed = packed
        self._expert = expert
        self._rows = rows
        self.dtype: np.dtype[Any] = packed.dtype

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    def __getitem__(self, rows: slice) -> _ExpertRows:
        start, stop, _ = rows.indices(len(self))
        first = self._rows.start
        return _ExpertRows(self._packed, self._expert, slice(first + start, first + stop))

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> np.ndarray:
        matrix: np.ndarray = np.asarray(self._packed[self._expert : self._expert + 1])[0]
        return matrix[self._rows]
