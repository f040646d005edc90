"""The engine parts on this computer: added from files, chosen, tried, taken back. A small state file beside their folders."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from converter.atomic_write import locked, unfinished_folder, write_locked
from converter.ggml import bundled_parts, library_folder
from desktop_app.engine.parts.manifest import (
    MANIFEST,
    SIGNATURE,
    Manifest,
    check_fit,
    check_signature,
    read_manifest,
)
from desktop_app.paths import engine_parts_folder
from models.errors import BadFile, ZhiyinError, error_from_data
from models.system_errors import cannot_write, refused
from models.system_reasons import system_reason

ORDER = ("cuda", "metal", "vulkan")
"""Which part ggml gets first: a card that two of them list is used by the first."""
AUTOMATIC, PROCESSOR = "auto", "cpu"
RPC = "rpc"
"""The part for workers (`desktop_app.engine.rpc`): loaded where some are named, whatever else computes."""
BASE = "base"
"""The part that every engine stands on: it comes with the application and cannot be added."""
_STATE = "parts.json"
_MANIFEST_BYTES = 1 << 20
_PIECE = 1 << 20


class Trial(msgspec.Struct, frozen=True):
    """The result of a part's trial."""

    drivers: str
    """The graphics drivers then, as `system.graphics_drivers.fingerprint` describes them."""
    failure: dict[str, Any] | None = None
    """Why it cannot be used (`ZhiyinError.data`); None: it computes rightly."""


class _State(msgspec.Struct):
    """The contents of the state file."""

    mode: str = AUTOMATIC
    """`AUTOMATIC`, `PROCESSOR`, or the one part that is used, by its name."""
    chosen: dict[str, str] = {}
    """Of each kind of part the id that is used."""
    before: dict[str, str] = {}
    """What `chosen` was before the last change."""
    trials: dict[str, Trial] = {}


class Part(msgspec.Struct, frozen=True):
    """A part that is here."""

    manifest: Manifest
    folder: Path
    bundled: bool
    """It came with the application, and stays."""
    chosen: bool
    """Of its kind it is the one to use."""
    in_use: bool
    """It is loaded when the engine starts, unless its trial failed."""
    trial: Trial | None
    misfit: dict[str, Any] | None = None
    """Why this release cannot use it (`ZhiyinError.data`), as after an update; None: it can."""


class PartStore:
    """The parts that came with the application, and those that were added to one data folder."""

    def __init__(self, folder: Path, bundled: Path | None = None) -> None:
        """Neither folder need exist; parts are folders in them."""
        self._folder = folder
        self._bundled = bundled

    @property
    def mode(self) -> str:
        """The user's choice: see `use`."""
        return self._read().mode

    def parts(self) -> list[Part]:
        """Return the parts that are here, those that ggml gets first at the beginning."""
        state = self._read()
        here = {entry[0].id: entry for entry in self._found()}
        fitting = {id_: entry for id_, entry in here.items() if entry[3] is None}
        # A part that came with the application is used until another one of its kind is chosen, or when that one is gone.
        chosen = {manifest.part: id_ for id_, (manifest, _, bundled, _) in fitting.items() if bundled}
        chosen |= {kind: id_ for kind, id_ in state.chosen.items() if id_ in fitting}
        parts = [
            Part(
                manifest,
                folder,
                bundled,
                chosen.get(manifest.part) == id_,
                chosen.get(manifest.part) == id_ and state.mode in (AUTOMATIC, manifest.part) and manifest.part != RPC,
                state.trials.get(id_),
                misfit,
            )
            for id_, (manifest, folder, bundled, misfit) in here.items()
        ]
        return sorted(parts, key=lambda part: (_rank(part.manifest.part), part.manifest.id))

    def _found(self) -> Iterator[tuple[Manifest, Path, bool, dict[str, Any] | None]]:
        """Yield the parts of both folders, those that were added first: also what another release left, with the reason."""
        for place, bundled in ((self._folder, False), (self._bundled, True)):
            for folder in sorted(place.iterdir()) if place is not None and place.is_dir() else ():
                manifest, misfit = _manifest_of(folder)
                if manifest is not None and manifest.part != BASE and (bundled or folder.name == manifest.id):
                    yield manifest, folder, bundled, misfit

    def add(self, archive: Path, *, unsigned: bool = False) -> Part:
        """Take a part from its archive, check every byte of it, and use it from now on.

        Args:
            archive: a file of `packaging/engine/build.py` or of a release.
            unsigned: the user built it, or trusts who did.

        Raises:
            BadFile: it is damaged, does not fit, or is not signed.
            ZhiyinError: it cannot be kept here.
        """
        try:
            with zipfile.ZipFile(archive) as packed:
                data = _member(packed, MANIFEST, _MANIFEST_BYTES, archive)
                manifest = read_manifest(data, archive)
                check_fit(manifest, archive)
                if manifest.part == BASE:
                    raise BadFile(
                        "{path} is the base of an engine, which comes with Zhiyin; add another part.", path=archive
                    )
                names = packed.namelist()
                signature = _member(packed, SIGNATURE, _MANIFEST_BYTES, archive) if SIGNATURE in names else b""
                if not unsigned:
                    check_signature(data, signature, archive)
                self._unpack(packed, manifest, (data, signature), archive)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise BadFile("{path} is damaged or no engine part; get it again.", path=archive) from error
        except OSError as error:
            raise refused(error) from error
        with self._changed() as state:
            state.before = dict(state.chosen)
            state.chosen[manifest.part] = manifest.id
            state.trials.pop(manifest.id, None)
            if state.mode not in (AUTOMATIC, manifest.part) and manifest.part != RPC:
                state.mode = AUTOMATIC
        return self.find(manifest.id)

    def remove(self, name: str) -> None:
        """Delete a part, named by its id or, where there is one of it, by its kind.

        Raises:
            ZhiyinError: there is none of this name, or it cannot be deleted.
        """
        part = self.find(name)
        if part.bundled:
            raise ZhiyinError(
                "The engine part {part} came with Zhiyin; `zhiyin engine use cpu` leaves it alone.",
                part=part.manifest.id,
            )
        with self._changed() as state:
            state.chosen = {kind: id_ for kind, id_ in state.chosen.items() if id_ != part.manifest.id}
            state.trials.pop(part.manifest.id, None)
            if state.mode == part.manifest.part:
                state.mode = AUTOMATIC
        try:
            shutil.rmtree(part.folder)
        except OSError as error:
            raise ZhiyinError(
                "{path} cannot be deleted: {reason}; close what uses it.",
                path=part.folder,
                reason=system_reason(error),
            ) from error

    def use(self, name: str) -> None:
        """Choose what computes: `AUTOMATIC`, `PROCESSOR` alone, or one part, named as in `remove`, beside the processor.

        A part that failed its trial is tried again.
        """
        part = None if name in (AUTOMATIC, PROCESSOR) else self.find(name)
        if part is not None and part.manifest.part == RPC:
            raise ZhiyinError("The engine part rpc is used by itself where workers are named: --worker HOST:PORT.")
        if part is not None and part.misfit is not None:
            raise error_from_data(part.misfit)
        with self._changed() as state:
            if part is None:
                state.mode = name
                return
            state.before = dict(state.chosen)
            state.chosen[part.manifest.part] = part.manifest.id
            state.mode = part.manifest.part
            state.trials.pop(part.manifest.id, None)

    def roll_back(self) -> None:
        """Use what was used before the last change.

        Raises:
            ZhiyinError: nothing was.
        """
        here = {part.manifest.id for part in self.parts() if part.misfit is None}
        with self._changed() as state:
            before = {kind: id_ for kind, id_ in state.before.items() if id_ in here}
            if not state.before and not state.chosen:
                raise ZhiyinError("No engine part was in use before; `zhiyin engine list` shows what is here.")
            state.chosen, state.before, state.mode = before, dict(state.chosen), AUTOMATIC

    def find(self, name: str) -> Part:
        """Return a part by its id, or by its kind: the chosen one, else the only one.

        Raises:
            ZhiyinError: none or several have this name.
        """
        parts = self.parts()
        matching = [part for part in parts if part.manifest.id == name] or [
            part for part in parts if part.manifest.part == name
        ]
        matching = [part for part in matching if part.chosen] or matching
        if len(matching) == 1:
            return matching[0]
        if not matching:
            raise ZhiyinError("There is no engine part {name} here; `zhiyin engine list` shows what is.", name=name)
        names = ", ".join(part.manifest.id for part in matching)
        raise ZhiyinError("There are several engine parts {name}; name one of {names}.", name=name, names=names)

    def rpc(self) -> Part:
        """Return the part for workers; raises `ZhiyinError` where it is not here."""
        chosen = [part for part in self.parts() if part.manifest.part == RPC and part.chosen]
        if not chosen:
            raise ZhiyinError(
                "Workers need the engine part rpc, one small file: `zhiyin engine add FILE`, or in a checkout "
                "`uv run --group engine zhiyin engine build rpc`."
            )
        return chosen[0]

    def note_trial(self, part: Part, trial: Trial) -> None:
        """Remember what came of trying a part."""
        with self._changed() as state:
            state.trials[part.manifest.id] = trial

    def _unpack(self, packed: zipfile.ZipFile, manifest: Manifest, sealed: tuple[bytes, bytes], archive: Path) -> None:
        """Write a part's files, its manifest and the signature of that into the part's folder."""
        target = self._folder / manifest.id
        self._folder.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(target) as folder:
            for name, file in manifest.files.items():
                digest = hashlib.sha256()
                with packed.open(_entry(packed, name, archive)) as source, (folder / name).open("wb") as out:
                    _copy(source, out, file.size, digest)
                    out.flush()
                    os.fsync(out.fileno())
                if digest.hexdigest() != file.sha256:
                    raise BadFile(
                        "{path} is damaged: {file} has another content; get it again.", path=archive, file=name
                    )
            for name, data in zip((MANIFEST, SIGNATURE), sealed, strict=True):
                if data:
                    (folder / name).write_bytes(data)
            shutil.rmtree(target, ignore_errors=True)  # the same part, added once more
            folder.rename(target)
            folder.mkdir()  # `unfinished_folder` removes it

    def _read(self) -> _State:
        try:
            return msgspec.json.decode((self._folder / _STATE).read_bytes(), type=_State)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return _State()

    @contextmanager
    def _changed(self) -> Iterator[_State]:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _STATE
        try:
            with locked(path):
                state = self._read()
                yield state
                write_locked(path, msgspec.json.encode(state).decode())
        except OSError as error:
            raise cannot_write(path, error) from error


def part_store() -> PartStore:
    """Return the parts of this application and this data folder; where that cannot be used, those that came along."""
    bundled = bundled_parts() if getattr(sys, "frozen", False) else None
    try:
        return PartStore(engine_parts_folder(), bundled)
    except ZhiyinError:  # the application says so itself
        return PartStore(library_folder() / "none", bundled)


def _rank(part: str) -> int:
    return ORDER.index(part) if part in ORDER else len(ORDER)


def _manifest_of(folder: Path) -> tuple[Manifest | None, dict[str, Any] | None]:
    """Return a part's manifest, None where it is none, and why this engine cannot use it."""
    try:
        manifest = read_manifest((folder / MANIFEST).read_bytes(), folder)
    except (OSError, BadFile):
        return None, None
    try:
        check_fit(manifest, folder)
    except BadFile as error:
        return manifest, error.data()
    return manifest, None


def _entry(packed: zipfile.ZipFile, name: str, archive: Path) -> zipfile.ZipInfo:
    try:
        return packed.getinfo(name)
    except KeyError as error:
        raise BadFile("{path} is damaged: {file} is missing; get it again.", path=archive, file=name) from error


def _member(packed: zipfile.ZipFile, name: str, limit: int, archive: Path) -> bytes:
    entry = _entry(packed, name, archive)
    with packed.open(entry) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise BadFile("{path} is damaged or no engine part; get it again.", path=archive)
    return data


def _copy(source: IO[bytes], out: BinaryIO, size: int, digest: hashlib._Hash) -> None:
    """Copy at most `size` bytes and one, whatever the archive promises: a longer file has another hash."""
    left = size + 1
    while left > 0 and (data := source.read(min(_PIECE, left))):
        digest.update(data)
        out.write(data)
        left -= len(data)
