"""The files that an index names, read where their tensors really are: indexes are edited by hand, or are of another save.

transformers reads the files that an index names, and takes from each what is in it; only which files there are goes by the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from converter.checkpoint import Checkpoint
from converter.checkpoint.shards import Shards
from models.errors import BadFile
from models.sentence import Sentence
from models.untrusted_json import LARGEST_TABLE, read_struct

Reader = Callable[[Path], Checkpoint]


class WeightIndex(msgspec.Struct):
    """The index of a checkpoint in several files."""

    weight_map: dict[str, str] = {}
    """Name of each tensor -> its file."""


def read_weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor, as an index says; raises `BadFile` where it is damaged."""
    return read_struct(index, WeightIndex, largest=LARGEST_TABLE).weight_map


class ListedFiles(Shards):
    """The files of an index, and what it should have named besides."""

    def __init__(self, index: Path, weight_map: Mapping[str, str], parts: Sequence[Checkpoint]) -> None:
        """Join the files that are read.

        Args:
            index: its path, in the folder of the parts.
            weight_map: what it says.
            parts: the opened files.

        Raises:
            BadFile: two files hold a tensor of the same name.
        """
        super().__init__(index.parent, parts)
        self.index = index
        self._weight_map = weight_map
        homes = self.homes
        self.absent = {name: file for name, file in weight_map.items() if name not in homes}
        """The tensors that no file holds -> the file that the index names."""
        self.notes = tuple(self._notes())

    def with_others(self, others: Iterable[Checkpoint]) -> ListedFiles:
        """Return them with those files that hold tensors which the index names and its files lack; the rest is closed."""
        joined = []
        for other in others:
            if other.tensors.keys() & self.absent.keys():
                joined.append(other)
            else:
                other.close()
        return ListedFiles(self.index, self._weight_map, [*self._parts, *joined]) if joined else self

    def absent_as(self, name: str) -> BadFile | None:
        """Return the sentence where the index names a tensor that no file holds; a wrapper's prefix may be in front of `name`."""
        own = next(
            (own for own in self.absent if own == name or own.endswith(f".{name}") or name.endswith(f".{own}")), None
        )
        if own is None:
            return None
        return BadFile(
            "{path} says that {tensor} is in {file}, but no file here holds it; download {file} again, or get the checkpoint "
            "elsewhere.",
            path=self.index,
            tensor=own[:80],
            file=self.absent[own][:80],
        )

    def _notes(self) -> Iterable[Sentence]:
        homes = self.homes
        moved = [name for name, file in self._weight_map.items() if name in homes and homes[name].name != file]
        for file in dict.fromkeys(homes[name] for name in moved):
            name = next(name for name in moved if homes[name] == file)
            yield Sentence(
                "{index} says that {tensor} is in {named}, but {file} holds it, from which it was read (tensors like this: "
                "{count}).",
                index=self.index.name,
                tensor=name[:80],
                named=self._weight_map[name][:80],
                file=file.name,
                count=sum(homes[name] == file for name in moved),
            )
        named = {*self._weight_map.values(), *(homes[name].name for name in moved)}
        for part in self._parts:
            if part.path.name not in named:
                yield Sentence(
                    "{index} does not name {file}, which belongs to the same model by its number; its tensors were read, too.",
                    index=self.index.name,
                    file=part.path.name,
                )
        if self.absent:
            name, named_file = next(iter(self.absent.items()))
            yield Sentence(
                "{index} says that {tensor} is in {file}, but no file here holds it (tensors like this: {count}); if answers "
                "make no sense, download {file} again.",
                index=self.index.name,
                tensor=name[:80],
                file=named_file[:80],
                count=len(self.absent),
            )


def open_listed(
    index: Path, files: Sequence[Path], missing: Sequence[str], beside: Sequence[Path], reader: Reader
) -> Checkpoint:
    """Open the files of an index.

    Args:
        index: its path.
        files: those that it names and that are there.
        missing: names of the others; they are missed only where they are said to hold what is nowhere else.
        beside: files that belong with these by their numbers, though the index does not name them.
        reader: opens one.

    Raises:
        BadFile: a file is missing, truncated or damaged.
    """
    weight_map = read_weight_map(index)
    parts: list[Checkpoint] = []
    held: set[str] = set()
    for path in (*files, *beside):
        part = reader(path)
        if path in beside and part.tensors.keys() <= held:
            part.close()
            continue
        parts.append(part)
        held.update(part.tensors)
    listed = ListedFiles(index, weight_map, parts)
    if lost := {*listed.absent.values()}.intersection(missing):
        listed.close()
        raise files_are_missing(index.parent, sorted(lost), len(files) + len(missing))
    return listed


def files_are_missing(folder: Path, missing: Sequence[str], total: int) -> BadFile:
    """Return the sentence about files of weights that are not there, of so many in `total`."""
    return BadFile(
        "{folder} lacks {names} ({part} of {total} files); download them.",
        folder=folder,
        names=", ".join(name[:80] for name in missing[:4]),
        part=len(missing),
        total=total,
    )
