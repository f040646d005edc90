"""Leftovers in the folder of downloads: unfinished files, checkpoints never converted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from converter.gguf_header import is_named_gguf
from converter.hub.address import HUB, MODELSCOPE_PREFIX, origin
from converter.hub.cleanup import delete_files, delete_rest, forget_files
from converter.hub.manifest import (
    alone,
    conversions_by_source,
    read_manifest,
    read_origin,
    verified_files,
)
from converter.hub.selection import is_small
from models.system_errors import cannot_write

_PARTIAL = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.part")
_OF_MODELSCOPE = "modelscope--"


@dataclass(frozen=True)
class Leftover:
    """A download that was interrupted, or whose checkpoint was not converted."""

    folder: Path
    repository: str
    """ORG/NAME."""
    source: str
    """What goes on with it: ORG/NAME or ORG/NAME/FILE, with "modelscope:" in front where it is there; "": that is not known."""
    endpoint: str
    """Where it came from; "": the usual address."""
    files: tuple[Path, ...]
    bytes: int
    """Of all files."""
    partial: bool
    """A file is here in part; otherwise all that is missing is the conversion."""


def leftovers(downloads: Path) -> list[Leftover]:
    """Return what was left in the folder of all downloads."""
    if not downloads.is_dir():
        return []
    folders = sorted(folder for folder in downloads.iterdir() if folder.is_dir() and not folder.is_symlink())
    return [left for folder in folders for left in _left_in(folder)]


def delete_leftover(left: Leftover) -> None:
    """Delete what was left; models and files of others stay.

    Raises:
        ZhiyinError: another process uses the folder, or the system refuses.
    """
    try:
        with alone(left.folder, left.repository):
            delete_files(left.files)
            forget_files(left.folder, left.files)
    except OSError as error:
        raise cannot_write(left.folder, error) from error
    delete_rest(left.folder)


def _left_in(folder: Path) -> Iterator[Leftover]:
    partials = {path: match["name"] for path in folder.rglob(".*.part") if (match := _PARTIAL.fullmatch(path.name))}
    partials = {path: name for path, name in partials.items() if path.is_file() and not path.is_symlink()}
    complete = [] if conversions_by_source(folder) else list(_weights_in(folder))
    if not partials and not complete:
        return
    known = read_origin(folder)
    repository = known.repository if known is not None else folder.name.replace("--", "/", 1)
    files = (*partials, *complete)
    yield Leftover(
        folder,
        repository,
        _source_of(folder, repository, list(partials.items())) if known is not None else "",
        _endpoint_of(known.url, repository) if known is not None else "",
        files,
        sum(path.stat().st_size for path in files),
        bool(partials),
    )


def _weights_in(folder: Path) -> Iterator[Path]:
    """Yield the checkpoint's files of weights that are here whole; GGUF files are models themselves."""
    root = folder.resolve()
    for name in verified_files(read_manifest(folder)):
        path = (folder / name).resolve()
        if path == root / name and path.is_file() and not is_small(name) and not is_named_gguf(path):
            yield path


def _source_of(folder: Path, repository: str, partials: list[tuple[Path, str]]) -> str:
    """Return what fetches the rest into the same folder; "": it came from another revision than the main one."""
    plain = repository.replace("/", "--")
    if folder.name not in (plain, _OF_MODELSCOPE + plain):
        return ""
    prefix = MODELSCOPE_PREFIX if folder.name.startswith(_OF_MODELSCOPE) else ""
    named = next((path.with_name(name) for path, name in partials if is_named_gguf(Path(name))), None)
    file = f"/{named.relative_to(folder).as_posix()}" if named is not None else ""
    return f"{prefix}{repository}{file}"


def _endpoint_of(page: str, repository: str) -> str:
    endpoint = page.removesuffix(f"/{repository}").removesuffix("/models")
    return endpoint if origin(endpoint) and endpoint != HUB else ""
