"""Checkpoints in several files: one `Checkpoint` over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.source_file import Rows
from models.errors import BadFile


class Shards:
    """Several files, each with some of the tensors."""

    def __init__(self, path: Path, parts: Sequence[Checkpoint]) -> None:
        """Join `parts`, which lie in the folder `path`.

        Raises:
            BadFile: two files hold a tensor of the same name.
        """
        self.path = path
        self._parts = parts
        self._homes: dict[str, Checkpoint] = {}
        for part in parts:
            for name in part.tensors:
                if name in self._homes:
                    raise BadFile(
                        "{path} holds tensor {tensor} twice, in {first} and {second}; keep one set of files.",
                        path=path,
                        tensor=name[:80],
                        first=self._homes[name].path.name,
                        second=part.path.name,
                    )
                self._homes[name] = part
        self.tensors: Mapping[str, StoredTensor] = {name: home.tensors[name] for name, home in self._homes.items()}

    @property
    def homes(self) -> Mapping[str, Path]:
        """The file of each tensor."""
        return {name: home.path for name, home in self._homes.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor from the file that holds it."""
        return self._homes[name].read(name)

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read when they are used."""
        return self._homes[name].rows(name)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        for part in self._parts:
            part.check()

    def close(self) -> None:
        """Let go of all files."""
        for part in self._parts:
            part.close()
