"""A checkpoint whose files of weights lie on a host: headers are read beforehand, each file whole once it has arrived.

Where the disk is short the files are fetched, converted and deleted one after the other; what is done is noted in the
download's manifest, so that a process that is killed goes on with the next file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from converter.checkpoint.shards import Shards
from converter.checkpoint.usual_names import usual_names, without_wrappers
from converter.hub.arriving_files import ARRIVING_SUFFIXES
from converter.hub.manifest import read_manifest, write_manifest
from converter.hub.selection import RemoteFile
from converter.stages import most_held, stages
from models.config import Config
from models.errors import ZhiyinError
from models.families import family_of

_NOTE = "arriving"
"""The manifest's key of a conversion that is under way."""


@dataclass(frozen=True)
class Arrival:
    """A download whose files of weights are fetched one by one."""

    folder: Path
    repository: str
    commit: str
    weights: Mapping[str, RemoteFile]
    """By their names."""
    checkpoint: Shards
    """Its tensors; those of a file that is not here are read from the host."""
    fetch: Callable[[str], None]
    """Fetches one of `weights` that was not fetched before, checks it, and has the checkpoint read it from here on."""
    drop: Callable[[str], None]
    """Deletes one of `weights`, or the part of it that is here."""
    here: Callable[[str], int]
    """Returns the bytes of one of `weights` that are here, a part of it counted."""


def held_at_once(config: Config, weight_map: Mapping[str, str], files: Sequence[RemoteFile]) -> int:
    """Return the bytes of the files of weights that are here at the worst moment where each goes once it is converted.

    Args:
        config: of the model.
        weight_map: which file has which tensor, as the index says.
        files: of weights, in their order.

    Returns:
        0 where they cannot be converted one by one: there is one file only, or one of another kind, or nothing is known.
    """
    names = [file.name for file in files]
    if not can_arrive(files):
        return 0
    try:
        blueprint = family_of(config).blueprint(config, None)
        wanted = {source.name for tensor in blueprint.tensors for source in tensor.sources}
        stored = without_wrappers(weight_map)
        homes = {usual: weight_map[stored[name]] for name, usual in usual_names(wanted, stored).items()}
    except ZhiyinError:
        return 0
    needs = {
        tensor.name: {homes[source.name] for source in tensor.sources if homes.get(source.name) in names}
        for tensor in blueprint.tensors
    }
    return most_held(stages(names, needs), {file.name: file.size for file in files})


def can_arrive(weights: Collection[RemoteFile]) -> bool:
    """Tell whether files of weights can be converted one by one: there are several, and their headers can be read alone."""
    return len(weights) > 1 and all(file.name.endswith(ARRIVING_SUFFIXES) for file in weights)


@dataclass(frozen=True)
class Journal:
    """The note of a conversion whose shards are deleted as they are converted."""

    key: str
    """Tells the result from others: 16 hexadecimal digits."""
    quant: str
    done: tuple[str, ...] = ()
    """Shards whose stage is over."""
    out: str = ""
    """The path that the result is about to get; "": it is not complete."""


def read_journal(folder: Path) -> Journal | None:
    """Return what is noted in a download's folder; None: no such conversion is under way."""
    try:
        return msgspec.convert(read_manifest(folder).get(_NOTE), Journal)
    except msgspec.ValidationError:
        return None


def write_journal(folder: Path, journal: Journal | None) -> None:
    """Note how far a conversion is; None: it is over."""
    note = {key: value for key, value in read_manifest(folder).items() if key != _NOTE}
    if journal is not None:
        note[_NOTE] = asdict(journal)
    write_manifest(folder, note)


def half_made(folder: Path, key: str) -> Path:
    """Return the path of a result that is not complete, in its download's folder; it is one of `leftovers`."""
    return folder / f".made.{key}.part"
