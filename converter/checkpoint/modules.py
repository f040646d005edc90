"""A transformer together with the linear layers that sentence-transformers keeps behind it, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.source_file import Rows


class ModulesCheckpoint:
    """A `Checkpoint` of several: tensors of a module are called by its folder's name, a dot and their own name."""

    def __init__(self, base: Checkpoint, modules: Mapping[str, Checkpoint]) -> None:
        """Take the transformer, and the modules by the names of their folders; all are closed with it."""
        self.base = base
        self._parts = (base, *modules.values())
        self._places: dict[str, tuple[Checkpoint, str]] = {name: (base, name) for name in base.tensors}
        for folder, part in modules.items():
            self._places |= {f"{folder}.{name}": (part, name) for name in part.tensors}

    @property
    def path(self) -> Path:
        """The transformer's."""
        return self.base.path

    @property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """The tensors of all parts."""
        return {name: part.tensors[own] for name, (part, own) in self._places.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory; raises `BadFile`."""
        part, own = self._places[name]
        return part.read(own)

    def rows(self, name: str) -> Rows:
        """Return one tensor, whose rows are read when they are used."""
        part, own = self._places[name]
        return part.rows(own)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        for part in self._parts:
            part.check()

    def close(self) -> None:
        """Let go of the files."""
        for part in self._parts:
            part.close()
