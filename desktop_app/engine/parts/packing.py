"""An engine part that is here as one file again, which another computer without a network adds."""

from __future__ import annotations

import hashlib
import zipfile
from functools import partial
from pathlib import Path
from typing import BinaryIO

from converter.atomic_write import write_file
from desktop_app.engine.parts.manifest import MANIFEST, SIGNATURE
from desktop_app.engine.parts.store import Part
from desktop_app.release_key import is_signed
from models.errors import BadFile
from models.system_errors import OTHER_PLACE, cannot_write

_PIECE = 1 << 20


def pack_part(part: Part, target: Path) -> bool:
    """Write a part into an archive that `PartStore.add` takes; it appears whole or not at all.

    Returns:
        whether the makers' signature is in it; without one the archive is added with `--unsigned`.

    Raises:
        BadFile: a file of the part is not what it was.
        ZhiyinError: the archive cannot be written.
    """
    try:
        return write_file(target, partial(_write, part))
    except OSError as error:
        raise cannot_write(target, error, OTHER_PLACE) from error


def _write(part: Part, file: BinaryIO) -> bool:
    data = (part.folder / MANIFEST).read_bytes()
    kept = part.folder / SIGNATURE
    signature = kept.read_bytes() if kept.is_file() else b""
    signed = is_signed(data, signature)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, data)
        if signed:
            archive.writestr(SIGNATURE, signature)
        for name, listed in part.manifest.files.items():
            _pack_file(archive, part.folder / name, listed.sha256)
    return signed


def _pack_file(archive: zipfile.ZipFile, path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as source, archive.open(path.name, "w", force_zip64=True) as packed:
        while piece := source.read(_PIECE):
            digest.update(piece)
            packed.write(piece)
    if digest.hexdigest() != sha256:
        raise BadFile("{path} is damaged; remove the engine part and add it again.", path=path)
