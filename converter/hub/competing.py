"""Two sets of weights in one repository: whether they hold the same, by a few values of each, before any is fetched whole.

Many repositories carry the same weights as safetensors and in PyTorch's format, or in Mistral's own files beside Hugging Face's:
there is nothing to ask. People who train or merge leave old ones beside new ones: those are a question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from converter.checkpoint import StoredTensor
from converter.checkpoint.safetensors import places_of_header
from converter.checkpoint.torch_pickle import places_in_zip
from converter.checkpoint.weight_files import values_alike
from converter.hub.remote_headers import ReadPart
from converter.hub.remote_stream import RemoteStream
from converter.hub.selection import RemoteFile, size_of, whole_sets
from models.errors import BadFile, UnsupportedModel

_COMPARED = 8
"""Tensors."""
_ELEMENTS = 1 << 13
_FILES = 4
"""Files of a set in which tensors are looked for."""
_LEAST = 1 / 3
"""Of the chosen set's size: a smaller one is none of the same model."""
_SAME_SIZE = 0.02
"""Sets of one type differ by their headers alone."""


class Place(NamedTuple):
    """A tensor of a remote file."""

    file: RemoteFile
    stored: StoredTensor
    begin: int
    """Bytes from the file's start."""


def competing_set(
    repository: str, chosen: Sequence[RemoteFile], files: Sequence[RemoteFile], read: ReadPart
) -> Sequence[RemoteFile] | None:
    """Return another set of a repository's weights that holds other values than the chosen one; None: there is none.

    Args:
        repository: its name, for sentences.
        chosen: the files of weights that would be fetched.
        files: all of the repository's.
        read: fetches bytes of one.
    """
    weights = [file for file in chosen if file.name.endswith(".safetensors")]
    if not weights:
        return None
    least = size_of(weights) * _LEAST
    others = [one for one in whole_sets(files) if not set(one) & set(weights) and size_of(one) > least]
    return next((one for one in others if not _are_alike(repository, weights, one, read)), None)


def _are_alike(repository: str, one: Sequence[RemoteFile], other: Sequence[RemoteFile], read: ReadPart) -> bool:
    try:
        mine = _places(repository, one[0], read, list)
    except (BadFile, UnsupportedModel):
        return True  # it says so itself where it is taken
    try:
        pairs = _pairs(repository, mine, other, read)
        if pairs:
            return all(_values_alike(*pair, read) for pair in pairs)
    except (BadFile, UnsupportedModel):
        pass  # an older format, of which the size has to tell
    ratio = size_of(one) / max(1, size_of(other))
    return any(abs(ratio / usual - 1) < _SAME_SIZE for usual in (0.5, 1, 2))


def _pairs(
    repository: str, mine: Mapping[str, Place], others: Sequence[RemoteFile], read: ReadPart
) -> list[tuple[Place, Place]]:
    """Return some tensors that both have, over a whole file; Mistral's names are the ends of Hugging Face's."""
    theirs: dict[str, Place] = {}
    for other in others[:_FILES]:
        theirs |= _places(repository, other, read, lambda names: _some([name for name in names if name in mine]))
    named = {name: name if name in theirs else name.removeprefix("model.") for name in mine}
    common = [
        name for name in mine if named[name] in theirs and mine[name].stored.shape == theirs[named[name]].stored.shape
    ]
    return [(mine[name], theirs[named[name]]) for name in _some(common)]


def _some(names: Sequence[str]) -> Sequence[str]:
    """Return some names over a whole list, both ends included."""
    last = len(names) - 1
    places = sorted({last * step // (_COMPARED - 1) for step in range(_COMPARED)}) if names else ()
    return [sorted(names)[place] for place in places]


def _values_alike(one: Place, other: Place, read: ReadPart) -> bool:
    first, second = (_values(place, read) for place in (one, other))
    return values_alike(first, second)


def _values(place: Place, read: ReadPart) -> np.ndarray:
    count = min(_ELEMENTS, int(np.prod(place.stored.shape, dtype=np.int64)))
    size = count * place.stored.dtype.itemsize
    data = read(place.file, place.begin, place.begin + size - 1) if size else b""
    return np.frombuffer(data, place.stored.dtype, count)


def _places(
    repository: str, file: RemoteFile, read: ReadPart, names: Callable[[Sequence[str]], Sequence[str]]
) -> dict[str, Place]:
    """Return where the tensors of a file lie, of PyTorch's format those that `names` chooses."""
    path, stream = Path(repository, file.name), RemoteStream(file, read)
    if file.name.endswith(".safetensors"):
        places = places_of_header(path, file.size, stream.at)
    else:
        places = places_in_zip(path, cast("BinaryIO", stream), file.size, names)
    return {name: Place(file, stored, begin) for name, (stored, begin) in places.items()}
