"""The manifest of an engine part: `manifest.json` in its folder or archive, and whether the part fits this application.

A plug-in shares structures with libggml-base that have no version of their own, so that it fits only a base built from the same
sources. The manifest is signed with Ed25519 (`manifest.sig`, 64 bytes); it holds the hash of every other file.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import msgspec

from desktop_app.release_key import is_signed
from models.errors import BadFile

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_FORMAT = 1
_PACKAGE = "llama-cpp-python"

Name = Annotated[str, msgspec.Meta(pattern=r"^(?!\.)[A-Za-z0-9._+-]{1,100}$")]
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class PartFile(msgspec.Struct, frozen=True):
    """One file of a part."""

    size: Annotated[int, msgspec.Meta(ge=0, le=4 << 30)]
    """Bytes."""
    sha256: Hash


class Manifest(msgspec.Struct, frozen=True):
    """A part's manifest."""

    format: int
    part: Name
    """base, vulkan, cuda."""
    system: Name
    """The system and processor that it runs on, as `this_system` names them."""
    llama_cpp_python: Name
    """The release whose sources it was built from."""
    sources_sha256: Hash
    files: Annotated[dict[Name, PartFile], msgspec.Meta(min_length=1, max_length=200)]

    @property
    def id(self) -> str:
        """A name that no other build has."""
        return f"{self.part}-{self.llama_cpp_python}-{hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def plug_ins(self) -> list[str]:
        """The libraries that ggml loads; the others are what they stand on."""
        return [name for name in self.files if name.removeprefix("lib").startswith("ggml-")]


def read_manifest(data: bytes, path: Path) -> Manifest:
    """Decode a manifest.

    Args:
        data: of `manifest.json`.
        path: named in sentences.

    Raises:
        BadFile: it is none, or of a newer format.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFile("{path} is not an engine part ({reason}); get it again.", path=path, reason=str(error)) from error
    if manifest.format != _FORMAT:
        raise BadFile("{path} is an engine part for a newer Zhiyin; update Zhiyin first.", path=path)
    return manifest


def check_fit(manifest: Manifest, path: Path) -> None:
    """Refuse a part of another system or of other sources.

    Raises:
        BadFile: it does not fit; the sentence says which part would.
    """
    wanted, here = engine_version(), this_system()
    if manifest.system != here:
        raise BadFile(
            "{path} is an engine part for {system}, but this computer needs {wanted}; get that one.",
            path=path,
            system=manifest.system,
            wanted=here,
        )
    if manifest.llama_cpp_python != wanted:
        raise BadFile(
            "{path} was built for the engine {version}, but this Zhiyin has {wanted}; get the part of this release.",
            path=path,
            version=manifest.llama_cpp_python,
            wanted=wanted,
        )


def check_signature(data: bytes, signature: bytes, path: Path) -> None:
    """Refuse a manifest that the release key did not sign.

    Raises:
        BadFile: there is no good signature; code `unsigned`.
    """
    if not is_signed(data, signature):
        raise BadFile(
            "{path} is not signed by the makers of Zhiyin, and an engine part runs as a program; "
            "if you built it yourself, add it with --unsigned.",
            path=path,
            code="unsigned",
        )


def engine_version() -> str:
    """Return the release of llama-cpp-python that this application runs on."""
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return ""


def this_system() -> str:
    """Return the system and the processor's kind, as in linux-x86_64, win-x86_64 or macosx-arm64."""
    system = {"win32": "win", "darwin": "macosx"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return f"{system}-{ {'amd64': 'x86_64', 'aarch64': 'arm64'}.get(machine, machine) }"
