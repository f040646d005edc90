"""Files that were imported and stay where they are: their paths, in a small file of the models folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from desktop_app.small_files import Parsed, SmallFile
from models.system_errors import cannot_write

LIST = "imported.json"
"""Its name."""


class ImportedFiles:
    """The list of them, which several processes may change."""

    def __init__(self, folder: Path) -> None:
        """The list lies in the models folder."""
        self._file: SmallFile[list[Path]] = SmallFile(
            folder / LIST, list, _parsed, lambda paths: [str(path) for path in paths]
        )

    def paths(self) -> list[Path]:
        """Return them in the order of their import."""
        return self._file.read()

    def add(self, path: Path) -> None:
        """Put a file on the list."""
        self._change(lambda paths: paths if path in paths else [*paths, path])

    def take_off(self, gone: set[Path]) -> None:
        """Take files off the list."""
        if gone:
            self._change(lambda paths: [path for path in paths if path not in gone])

    def _change(self, change: Callable[[list[Path]], list[Path]]) -> None:
        try:
            self._file.change(change)
        except OSError as error:
            raise cannot_write(self._file.path, error) from error


def _parsed(stored: Any) -> Parsed[list[Path]]:
    if not isinstance(stored, list):
        raise TypeError(stored)
    good = [entry for entry in stored if isinstance(entry, str) and "\0" not in entry and Path(entry).is_absolute()]
    return Parsed([Path(entry) for entry in good], len(good) == len(stored))
