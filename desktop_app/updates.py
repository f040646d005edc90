"""Newer releases of Zhiyin: looked for when the user asks, fetched when the user asks, never installed by itself.

A release is described by `update.json`, signed with the key of releases (`update.json.sig`, 64 bytes): it holds size and
SHA-256 of every installer beside it. `packaging/sign.py` writes both. The address is a web address, or a file (on a stick).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec

from converter.atomic_write import write_file
from converter.hub.connection import Connection
from converter.hub.selection import RemoteFile
from converter.hub.transfer import digest_of, fetch
from desktop_app.engine.parts.manifest import Hash, Name, this_system
from desktop_app.release_key import SIGNATURE_BYTES, is_signed
from models.errors import BadFile
from models.system_errors import refused

MANIFEST, SIGNATURE = "update.json", "update.json.sig"
_FORMAT = 1
_MANIFEST_BYTES = 1 << 20

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){1,3}$")]
INSTALL = {
    "deb": "sudo apt install {path}",
    "rpm": "sudo dnf install {path}",
    "archive": "tar -xf {path} && zhiyin-{version}/install.sh",
    "setup": "{path}",
    "portable": "unpack {path} over the folder of Zhiyin",
    "dmg": "open {path}",
}
"""What installs each kind of file."""


class ReleaseFile(msgspec.Struct, frozen=True):
    """An installer of a release."""

    name: Name
    kind: Name
    """One of `INSTALL`, or `engine`, for an engine part."""
    system: Name
    """As `this_system` names it."""
    size: Annotated[int, msgspec.Meta(ge=1, le=8 << 30)]
    """Bytes."""
    sha256: Hash


class Release(msgspec.Struct, frozen=True):
    """The contents of `update.json`."""

    format: int
    version: Version
    files: Annotated[list[ReleaseFile], msgspec.Meta(max_length=200)]
    notes: Annotated[str, msgspec.Meta(max_length=20_000)] = ""

    @property
    def newer(self) -> bool:
        """It is newer than this application."""
        return _numbers(self.version) > _numbers(version("zhiyin"))

    def file_for(self, kind: str, system: str) -> ReleaseFile | None:
        """Return the installer of a kind for a system; None: the release has none."""
        return next((file for file in self.files if (file.kind, file.system) == (kind, system)), None)


def read_release(address: str) -> Release:
    """Return what the makers offer.

    Args:
        address: of `update.json`: a web address or a path.

    Raises:
        BadFile: it is damaged, of a newer format, or not signed by the makers.
        ZhiyinError: it cannot be read or reached.
    """
    data, signature = _read(address, _MANIFEST_BYTES), _read_signature(address)
    if not is_signed(data, signature):
        raise BadFile("{path} is not signed by the makers of Zhiyin; nothing of it is used.", path=address)
    try:
        release = msgspec.json.decode(data, type=Release)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFile("{path} is no description of a release ({reason}).", path=address, reason=str(error)) from error
    if release.format != _FORMAT:
        raise BadFile("{path} is written for a newer Zhiyin; get that one by hand.", path=address)
    return release


def fetch_installer(address: str, file: ReleaseFile, folder: Path, count: Callable[[int], None]) -> Path:
    """Fetch an installer, or copy it from beside a local `update.json`, and compare its checksum; an interrupted one goes on.

    Args:
        address: of the `update.json` that lists it.
        file: from there.
        folder: where it goes.
        count: told of bytes that came.

    Returns:
        its path.

    Raises:
        BadFile: its content is another one.
        ZhiyinError: it cannot be fetched or kept.
    """
    target, listed = folder / file.name, RemoteFile(file.name, file.size, file.sha256)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.stat().st_size == file.size and _digest(target, listed) == file.sha256:
            return target
        if _is_web(address):
            fetch(
                _connection(address), address.rpartition("/")[0] + "/" + file.name, listed, target, count, lambda: None
            )
        else:
            _copy(Path(address).with_name(file.name), target, listed)
    except BadFile as error:
        raise BadFile(
            "{path} is not what the release lists (its checksum differs); get it again.", path=target
        ) from error
    except OSError as error:
        raise refused(error) from error
    return target


def installed_as() -> str:
    """Return how this application was installed: one of `INSTALL`, flatpak, or source."""
    if not getattr(sys, "frozen", False):
        return "source"
    if os.environ.get("FLATPAK_ID"):
        return "flatpak"
    if sys.platform == "win32":
        return "setup" if (Path(sys.executable).parent / "uninstall.exe").is_file() else "portable"
    if sys.platform == "darwin":
        return "dmg"
    if Path("/var/lib/dpkg/info/zhiyin.list").is_file():
        return "deb"
    return "rpm" if Path(sys.executable).is_relative_to("/opt/zhiyin") and shutil.which("rpm") else "archive"


def offered(release: Release) -> ReleaseFile | None:
    """Return the installer that takes the place of this installation; None: there is none for it."""
    return release.file_for(installed_as(), this_system())


def how_to_install(file: ReleaseFile, path: Path, release: Release) -> str:
    """Return what the user does with an installer."""
    quoted = f'"{path}"' if " " in str(path) else str(path)
    return INSTALL[file.kind].format(path=quoted, version=release.version)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def _is_web(address: str) -> bool:
    return address.startswith(("https://", "http://"))


def _connection(address: str) -> Connection:
    return Connection(address, {}, {})


def _read_signature(address: str) -> bytes:
    signature = f"{address}.sig"
    if not _is_web(address) and not Path(signature).exists():
        raise BadFile(
            "{path} has no signature beside it ({signature}); get both files of the release.",
            path=address,
            signature=Path(signature).name,
        )
    return _read(signature, SIGNATURE_BYTES)


def _read(address: str, most: int) -> bytes:
    if _is_web(address):
        return bytes(_connection(address).read(address, most).data)
    try:
        with Path(address).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise refused(error) from error
    if len(data) > most:
        raise BadFile("{path} is larger than any description of a release.", path=address)
    return data


def _digest(path: Path, listed: RemoteFile) -> str:
    return digest_of(path, listed, lambda: None)


def _copy(source: Path, target: Path, listed: RemoteFile) -> None:
    if _digest(source, listed) != listed.digest:
        raise BadFile("{path} has another content than listed.", path=source)
    with source.open("rb") as file:
        write_file(target, lambda out: shutil.copyfileobj(file, out, 1 << 20))
