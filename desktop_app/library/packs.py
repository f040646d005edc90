"""Model packs: one file with a model, its licence texts and the hash of each, for computers without a network.

A pack is a zip file without compression whose first entry, `pack.json`, lists every other one. Nothing in it is kept before all
of it has the listed content.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, BinaryIO

import msgspec

from converter.atomic_write import sync, unfinished_folder, write_file
from converter.gguf_checks import check_model, read_parts
from converter.gguf_header import GGUFHeader, is_gguf, split_parts
from converter.hub.names import check_kept_names, check_names
from models.errors import BadFile
from models.system_errors import refused

SUFFIX = ".zhiyin-pack"
MANIFEST = "pack.json"
_FORMAT = 1
_MANIFEST_BYTES = 1 << 20
_LARGEST_TEXT = 1 << 20
_PIECE = 4 << 20
_LICENCE_TEXTS = ("LICENSE*", "LICENCE*", "NOTICE*", "README*", "MODEL_LICENSE*", "USE_POLICY*")
"""Of the folder of a model or of its download."""
Count = Callable[[int], None]


class PackedFile(msgspec.Struct, frozen=True):
    """A file of a pack."""

    size: Annotated[int, msgspec.Meta(ge=0)]
    """Bytes."""
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Pack(msgspec.Struct, frozen=True):
    """The contents of `pack.json`."""

    format: int
    model: str
    """The name of the model's file, of a split model the first."""
    origin: str
    """The repository that it came from; "": not known."""
    licence: str
    """As the model's publisher names it; "": not known."""
    files: Annotated[dict[str, PackedFile], msgspec.Meta(min_length=1, max_length=1000)]


def is_pack(path: Path) -> bool:
    """Tell whether a file is named as a pack."""
    return path.name.lower().endswith(SUFFIX)


def pack(model: Path, target: Path, *, origin: str = "", count: Count = lambda size: None) -> Pack:
    """Write a model, checked, and the licence texts beside it into one file.

    Args:
        model: its GGUF file, of a split model the first.
        target: the pack; it appears whole or not at all.
        origin: the repository that it came from.
        count: told of bytes as they are written.

    Raises:
        BadFile: the model is damaged.
        ZhiyinError: the pack cannot be written.
    """
    headers = read_parts(model)
    check_model(headers)
    files = [*split_parts(model), *_licence_texts(model)]
    try:
        listed = {path.name: _described(path) for path in files}
        made = Pack(_FORMAT, model.name, origin, _licence(headers[0]), listed)
        write_file(target, lambda out: _write(out, made, files, count))
    except OSError as error:
        raise refused(error) from error
    return made


def read_pack(path: Path) -> Pack:
    """Return what a pack says that it holds.

    Raises:
        BadFile: it is damaged, or none.
    """
    with _opened(path) as packed:
        return _manifest(packed, path)


def unpack(path: Path, folder: Path, *, count: Count = lambda size: None) -> Path:
    """Check a pack and put its model into a folder; the licence texts go into a folder beside it, named like the model.

    Args:
        path: the pack.
        folder: of the models.
        count: told of bytes as they are read.

    Returns:
        The path of the model; one with the same content that is there already stays.

    Raises:
        BadFile: the pack is damaged, or a model of this name with another content is there.
        ZhiyinError: there is no room, or the folder cannot be written.
    """
    with _opened(path) as packed:
        made = _manifest(packed, path)
        target = folder / made.model
        models = [name for name in made.files if name.lower().endswith(".gguf")]
        if all(_is_here(folder / name, made.files[name]) for name in models):
            return target
        for name in models:
            if (folder / name).exists():
                raise BadFile("{path} is there already; remove it first or rename it.", path=folder / name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished_folder(target) as work:
                for name, file in made.files.items():
                    _extract(packed, name, file, work / name, path, count)
                check_model(read_parts(work / made.model))
                _place(work, folder, made, models)
        except OSError as error:
            raise refused(error) from error
    return target


def _place(work: Path, folder: Path, made: Pack, models: list[str]) -> None:
    """Give all files their names, the first part of the model last, so that a model is there when it is whole."""
    texts = folder / f"{Path(made.model).stem} licence"
    for name in made.files:
        if name not in models:
            texts.mkdir(exist_ok=True)
            (work / name).replace(texts / name)
    for name in sorted(models, key=lambda name: name == made.model):
        (work / name).replace(folder / name)


def _write(out: BinaryIO, made: Pack, files: list[Path], count: Count) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
        packed.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(made), indent=1))
        for path in files:
            digest = hashlib.sha256()
            with path.open("rb") as source, packed.open(path.name, "w", force_zip64=True) as entry:
                _copy(source, entry, digest, count)
            if digest.hexdigest() != made.files[path.name].sha256:
                raise BadFile("{path} changed while it was packed; pack it again.", path=path)


def _extract(packed: zipfile.ZipFile, name: str, file: PackedFile, target: Path, path: Path, count: Count) -> None:
    digest = hashlib.sha256()
    try:
        entry = packed.getinfo(name)
        if entry.file_size != file.size or entry.compress_type != zipfile.ZIP_STORED:
            raise BadFile(
                "{path} is damaged: {file} has another size than listed; get the pack again.", path=path, file=name
            )
        with packed.open(entry) as source, target.open("wb") as out:
            _copy(source, out, digest, count)
            out.flush()
            sync(out.fileno())
    except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadFile("{path} is damaged: {file} cannot be read; get the pack again.", path=path, file=name) from error
    if digest.hexdigest() != file.sha256:
        raise BadFile(
            "{path} is damaged: {file} has another content than listed; get the pack again.", path=path, file=name
        )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        packed = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise BadFile("{path} is damaged or no model pack; get it again.", path=path) from error
    except OSError as error:
        raise refused(error) from error
    with packed:
        yield packed


def _manifest(packed: zipfile.ZipFile, path: Path) -> Pack:
    try:
        with packed.open(MANIFEST) as file:
            data = file.read(_MANIFEST_BYTES + 1)
        made = msgspec.json.decode(data, type=Pack) if len(data) <= _MANIFEST_BYTES else None
    except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise BadFile("{path} is damaged or no model pack; get it again.", path=path) from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFile("{path} is damaged or no model pack; get it again.", path=path) from error
    if made is None or made.model not in made.files or "/" in "".join(made.files):
        raise BadFile("{path} is damaged or no model pack; get it again.", path=path)
    if made.format != _FORMAT:
        raise BadFile("{path} is a model pack for a newer Zhiyin; update Zhiyin first.", path=path)
    check_names(path.name, made.files)
    check_kept_names(path.name, made.files, one_case=True)
    return made


def _licence_texts(model: Path) -> list[Path]:
    paths = {path for pattern in _LICENCE_TEXTS for path in model.parent.glob(pattern)}
    return sorted(path for path in paths if path.is_file() and path.stat().st_size <= _LARGEST_TEXT)


def _licence(header: GGUFHeader) -> str:
    return str(header.metadata.get("general.license", ""))


def _described(path: Path) -> PackedFile:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return PackedFile(size, digest.hexdigest())


def _is_here(path: Path, file: PackedFile) -> bool:
    with suppress(OSError):
        return path.stat().st_size == file.size and is_gguf(path) and _described(path) == file
    return False


def _copy(source: IO[bytes], target: IO[bytes], digest: hashlib._Hash, count: Count) -> None:
    while piece := source.read(_PIECE):
        target.write(piece)
        digest.update(piece)
        count(len(piece))
