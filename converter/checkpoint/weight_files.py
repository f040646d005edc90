"""Which files of a folder are its weights: one set, and a question to the user where several differ.

transformers takes model.safetensors, then the files of an index, then pytorch_model.bin; people who train or merge save one set
beside another. Sets of the same tensors are compared; only where they are alike does it not matter which is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from converter.checkpoint import Checkpoint
from converter.checkpoint.elsewhere import without_weights
from converter.checkpoint.listed_files import ListedFiles, Reader, files_are_missing, open_listed, read_weight_map
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.shards import Shards
from converter.checkpoint.source_file import Rows
from converter.checkpoint.torch_pickle import TorchPickleFile
from models.errors import BadFile, ZhiyinError
from models.regular_file import is_there


class _Layout(NamedTuple):
    index_name: str
    single: str
    """The file of a model in one file."""
    patterns: tuple[str, ...]
    """Names of files; those of the first pattern that has any are taken."""
    reader: Reader


_USUAL_STEM = "pytorch_model"
_LAYOUTS = (
    _Layout("model.safetensors.index.json", "model.safetensors", ("*.safetensors",), SafetensorsFile),
    _Layout(
        f"{_USUAL_STEM}.bin.index.json",
        f"{_USUAL_STEM}.bin",
        (f"{_USUAL_STEM}*.bin", "*.pth", "*.pt"),
        TorchPickleFile,
    ),
)
"""Safetensors first, because many repositories carry both."""
TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")
_NO_MODEL = re.compile(
    r"(adapter_model|optimizer|scheduler|training_args|rng_state|random_states|scaler)\b.*", re.IGNORECASE
)
"""What training programs save beside the weights."""
_OTHER_LAYOUT = "consolidated"
"""Mistral's and Meta's own files, which lie beside the same weights under Hugging Face's names."""
_MOST_PARTS = 10_000
_COMPARED_ELEMENTS = 1 << 14
"""Of each end of each tensor."""
_ROUNDING = 2.0**-7
"""Of bfloat16, relative, with room to spare."""


@dataclass(frozen=True)
class WeightSet:
    """Files that together hold a model."""

    name: str
    """What a user calls it by: its only file, its index, or its first file."""
    files: tuple[Path, ...]
    reader: Reader
    missing: tuple[str, ...] = ()
    """Names of files that belong to it and are not there."""
    index: Path | None = None
    """What names the files."""
    beside: tuple[Path, ...] = ()
    """Files that are of the same series, though the index does not name them."""

    def open(self, source: Path) -> Checkpoint:
        """Open it as the checkpoint of `source`.

        Raises:
            BadFile: files are missing, truncated or damaged.
        """
        if self.index is not None:
            return open_listed(self.index, self.files, self.missing, self.beside, self.reader)
        if self.missing:
            raise files_are_missing(source, self.missing, len(self.missing) + len(self.files))
        parts = [self.reader(path) for path in self.files]
        return parts[0] if len(parts) == 1 else Shards(source, parts)


def open_weights(folder: Path, named: Path | None = None) -> Checkpoint:
    """Open a folder's weights; only headers are read, and a few values where two sets of files are to be compared.

    Args:
        folder: of the checkpoint.
        named: the file, index or one of several files that the user chose; None: what is there.

    Raises:
        BadFile: there are none that can be read, a file is missing, truncated or damaged, or several sets differ.
    """
    if named is not None:
        return _named(folder, named).open(folder)
    sets = [_sets(folder, layout) for layout in _LAYOUTS]
    first = next((number for number, layout_sets in enumerate(sets) if layout_sets), None)
    if first is not None:
        checkpoint = _one_of(folder, sets[first])
        _compare_with_later_layouts(folder, sets[first][0], checkpoint, sets[first + 1 :])
        return checkpoint
    raise without_weights(folder, (".safetensors", *TORCH_SUFFIXES))


def open_weight_file(file: Path) -> Checkpoint:
    """Open a file of weights, with the others where it is one of several that belong together."""
    weights = _set_of(file)
    return weights.open(file if weights.files == (file,) else file.parent)


def is_weight_file(file: Path) -> bool:
    """Tell by its name whether a file can be opened."""
    return file.suffix in (".safetensors", *TORCH_SUFFIXES)


def _named(folder: Path, named: Path) -> WeightSet:
    file = next((path for path in (named, folder / named) if path.is_file()), None)
    if file is None or not (is_weight_file(file) or file.name.endswith(".index.json")):
        raise BadFile(
            "{path} is no file of weights in {folder}; name one that ends with {endings}.",
            path=named,
            folder=folder,
            endings=", ".join((".safetensors", *TORCH_SUFFIXES, ".index.json")),
        )
    return _set_of(file)


def _set_of(file: Path) -> WeightSet:
    layout = _LAYOUTS[0] if ".safetensors" in file.name else _LAYOUTS[1]
    if file.name.endswith(".index.json"):
        return _listed(file, layout.reader)
    index = file.with_name(layout.index_name)
    if index.is_file() and _names_in(index):
        listed = _listed(index, layout.reader)
        if file in (*listed.files, *listed.beside):
            return listed
    beside = _series(
        [path for path in file.parent.glob(f"*{file.suffix}") if _PART.fullmatch(path.stem)], layout.reader
    )
    return next((weights for weights in beside if file in weights.files), WeightSet(file.name, (file,), layout.reader))


def _sets(folder: Path, layout: _Layout) -> list[WeightSet]:
    """Return the sets of one layout, the usual single file first, then what the index lists."""
    files = next((matching for pattern in layout.patterns if (matching := _weights(folder, pattern))), [])
    sets: list[WeightSet] = []
    index = folder / layout.index_name
    if index.is_file() and (_lists_files(index, beside=folder / layout.single in files) or not files):
        listed = _listed(index, layout.reader)
        rest = [path for path in files if path not in (*listed.files, *listed.beside)]
        if listed.files or not rest:  # otherwise the index was left behind when its files were removed
            sets.append(listed)
        files = rest
    sets += _series(files, layout.reader)
    return sorted(sets, key=lambda one: one.name != layout.single)


def _weights(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern that can be a model's weights."""
    files = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))  # macOS leaves ._NAME beside
    weights = [path for path in files if not _NO_MODEL.match(path.name)]
    return [path for path in weights if not path.name.startswith(_OTHER_LAYOUT)] or weights


def _series(files: Sequence[Path], reader: Reader) -> list[WeightSet]:
    """Return numbered files as sets, and every other file as a set of its own."""
    groups: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(files):
        match = _PART.fullmatch(path.stem)
        groups.setdefault((match["stem"], int(match["count"])) if match else (path.name, 0), []).append(path)
    return [_numbered(stem, count, paths, reader) for (stem, count), paths in groups.items()]


def _numbered(stem: str, count: int, paths: Sequence[Path], reader: Reader) -> WeightSet:
    names = {f"{stem}-{number + 1:05}-of-{count:05}{paths[0].suffix}" for number in range(min(count, _MOST_PARTS))}
    missing = sorted(names - {path.name for path in paths})
    return WeightSet(paths[0].name, tuple(paths), reader, tuple(missing))


def _listed(index: Path, reader: Reader) -> WeightSet:
    """Return the files that an index names, each of which must lie in the same folder."""
    names = _names_in(index)
    if not names:
        raise BadFile("{path} lists no weights; download it again.", path=index)
    for name in names:
        if Path(name).name != name:
            raise BadFile(
                "{path} points outside its folder ({name}); get the checkpoint elsewhere.", path=index, name=name[:80]
            )
    paths = [index.parent / name for name in names]
    present = [path for path in paths if is_there(path)]
    beside = _of_their_series(index.parent, present)
    numbered = _series([*present, *beside], reader)
    is_whole = len(numbered) == 1 and not numbered[0].missing  # there never were other files
    missing = () if is_whole else tuple(path.name for path in paths if path not in present)
    return WeightSet(index.name, tuple(present), reader, missing, index, tuple(beside))


def _of_their_series(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return the files in a folder that have the names and counts of these numbered ones, and other numbers."""
    series = {_series_name(path) for path in files} - {None}
    return sorted(path for path in folder.iterdir() if path not in files and _series_name(path) in series)


def _series_name(path: Path) -> tuple[str, str, str] | None:
    match = _PART.fullmatch(path.stem)
    return None if match is None else (match["stem"], match["count"], path.suffix)


def _lists_files(index: Path, *, beside: bool) -> bool:
    """Tell whether an index names files; a damaged one counts for none where the usual single file lies `beside` it."""
    try:
        return bool(_names_in(index))
    except BadFile:
        if not beside:
            raise
        return False


def _names_in(index: Path) -> list[str]:
    return sorted(set(read_weight_map(index).values()))


def _one_of(folder: Path, sets: Sequence[WeightSet]) -> Checkpoint:
    """Open the only set; of several with the same tensors the first, where they are alike; sets without common tensors together.

    Raises:
        BadFile: sets differ, and the user has to choose.
    """
    if any(_is_listed(one) and not one.missing for one in sets):
        sets = [one for one in sets if not one.missing]  # the rest of something else
    if len(sets) == 1:
        return sets[0].open(folder)
    if any(one.missing for one in sets):
        raise _question(folder, sets[0], sets[1])
    kept: list[tuple[WeightSet, Checkpoint]] = []
    try:
        for candidate in sets:
            opened = candidate.open(folder)
            if _is_new(folder, candidate, opened, kept):
                kept.append((candidate, opened))
            else:
                opened.close()
    except BaseException:
        for _, checkpoint in kept:
            checkpoint.close()
        raise
    first, *others = (checkpoint for _, checkpoint in kept)
    if isinstance(first, ListedFiles):
        return first.with_others(others)
    return Shards(folder, [first, *others]) if others else first


def _is_new(
    folder: Path, candidate: WeightSet, opened: Checkpoint, kept: Sequence[tuple[WeightSet, Checkpoint]]
) -> bool:
    """Tell whether a set holds other tensors than those before it; raises `BadFile` where it has other values of them."""
    for one, theirs in kept:
        if theirs.tensors.keys() & opened.tensors.keys():
            if not are_alike(theirs, opened):
                raise _question(folder, one, candidate)
            return False
    return True


def _is_listed(one: WeightSet) -> bool:
    return one.index is not None


def _compare_with_later_layouts(
    folder: Path, chosen: WeightSet, checkpoint: Checkpoint, layouts: Sequence[Sequence[WeightSet]]
) -> None:
    """Raise `BadFile` where weights lie there in PyTorch's format, too, whole and with other values."""
    for other in (one for sets in layouts for one in sets if one.name.startswith(_USUAL_STEM) and not one.missing):
        try:
            theirs = other.open(folder)
        except ZhiyinError:
            continue  # leftovers
        alike = not theirs.tensors.keys() & checkpoint.tensors.keys() or are_alike(checkpoint, theirs)
        theirs.close()
        if not alike:
            checkpoint.close()
            raise _question(folder, chosen, other)


def _question(folder: Path, first: WeightSet, second: WeightSet) -> BadFile:
    return BadFile(
        "{folder} holds two sets of weights that differ, {first} and {second}; say which one is meant, with --weights {first} or "
        "--weights {second}.",
        folder=folder,
        first=first.name,
        second=second.name,
    )


def are_alike(one: Checkpoint, other: Checkpoint) -> bool:
    """Tell whether two checkpoints hold the same values, by both ends of every tensor that both have.

    Values that one of them has in a type with fewer bits may differ by that type's rounding.
    """
    common = [name for name in one.tensors if name in other.tensors]
    return all(
        one.tensors[name].shape == other.tensors[name].shape and _ends_alike(_of(one, name), _of(other, name))
        for name in common
    )


def _of(checkpoint: Checkpoint, name: str) -> Rows:
    return checkpoint.rows(name) if checkpoint.tensors[name].shape else checkpoint.read(name).reshape(1)


def _ends_alike(one: Rows, other: Rows) -> bool:
    if not len(one):
        return True
    step = max(1, _COMPARED_ELEMENTS // max(1, np.asarray(one[:1]).size))
    for start in {0, max(0, len(one) - step)}:
        if not values_alike(*(np.asarray(rows[start : start + step]) for rows in (one, other))):
            return False
    return True


def values_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether arrays hold the same values, but for the rounding of a type with fewer bits."""
    if one.dtype == other.dtype:
        return one.tobytes() == other.tobytes()
    first, second = one.astype(np.float32), other.astype(np.float32)
    return bool(np.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING**2))
