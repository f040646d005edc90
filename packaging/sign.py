"""Signs what a release hands out, with the makers' Ed25519 key, which stays out of the repository.

    uv run python packaging/sign.py new KEYFILE                    a new key: KEYFILE, and its public half resources/release.pub
    uv run python packaging/sign.py part PART.zip ...              the manifest inside each engine part
    uv run python packaging/sign.py release FOLDER [--notes FILE]  update.json for all installers in a folder, and its signature

The key is read from the environment variable ZHIYIN_SIGNING_KEY (64 hexadecimal digits), or from --key KEYFILE.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import zipfile
from pathlib import Path

from nacl.signing import SigningKey

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from desktop_app.engine.parts import manifest as part  # noqa: E402
from desktop_app.updates import MANIFEST, SIGNATURE  # noqa: E402
from resources import RELEASE_KEY  # noqa: E402

_VARIABLE = "ZHIYIN_SIGNING_KEY"
KINDS = {
    r"zhiyin_[0-9.]+_(?P<machine>amd64|arm64)\.deb": ("deb", "linux"),
    r"zhiyin-[0-9.]+-[0-9]+\.(?P<machine>x86_64|aarch64)\.rpm": ("rpm", "linux"),
    r"zhiyin-[0-9.]+-linux-(?P<machine>x86_64|aarch64)\.tar\.zst": ("archive", "linux"),
    r"zhiyin-[0-9.]+-windows-(?P<machine>x86_64|arm64)-setup\.exe": ("setup", "win"),
    r"zhiyin-[0-9.]+-windows-(?P<machine>x86_64|arm64)-portable\.zip": ("portable", "win"),
    r"zhiyin-[0-9.]+-macos-(?P<machine>x86_64|arm64)\.dmg": ("dmg", "macosx"),
    r"zhiyin-engine-[a-z0-9]+-[0-9.]+-(?P<system>linux|win|macosx)-(?P<machine>x86_64|arm64)\.zip": ("engine", ""),
}
"""Names of installers: their kind and system."""
_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}


def new_key(path: Path, public: Path = RELEASE_KEY) -> None:
    """Write a new private key, which only its owner may read, and its public half; never over one that is there."""
    key = SigningKey.generate()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(bytes(key).hex() + "\n")
    public.write_text(bytes(key.verify_key).hex() + "\n", "ascii")


def read_key(path: Path | None) -> SigningKey:
    """Return the private key of a file, or of the environment."""
    text = path.read_text("ascii") if path is not None else os.environ.get(_VARIABLE, "")
    try:
        return SigningKey(bytes.fromhex(text))
    except ValueError as error:
        raise SystemExit(
            f"The key is not 64 hexadecimal digits: set {_VARIABLE}, or name a file with --key."
        ) from error


def sign_part(archive: Path, key: SigningKey) -> None:
    """Put the signature of its manifest into an engine part; an earlier one goes."""
    unsigned = archive.with_suffix(".unsigned")
    archive.replace(unsigned)
    with (
        zipfile.ZipFile(unsigned) as source,
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out,
    ):
        for entry in source.infolist():
            if entry.filename != part.SIGNATURE:
                out.writestr(entry, source.read(entry))
        out.writestr(part.SIGNATURE, key.sign(source.read(part.MANIFEST)).signature)
    unsigned.unlink()


def describe_release(folder: Path, version: str, key: SigningKey, notes: str = "") -> None:
    """Write `update.json` for the installers in a folder, and its signature; a file of another name is left out."""
    files = [found for path in sorted(folder.iterdir()) if (found := _described(path)) is not None]
    data = json.dumps({"format": 1, "version": version, "notes": notes, "files": files}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_bytes(data.encode())
    (folder / SIGNATURE).write_bytes(key.sign(data.encode()).signature)


def _described(path: Path) -> dict[str, str | int] | None:
    for pattern, (kind, system) in KINDS.items():
        named = re.fullmatch(pattern, path.name)
        if named:
            where = named.groupdict().get("system") or system
            machine = _MACHINES.get(named["machine"], named["machine"])
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            facts = {"name": path.name, "kind": kind, "system": f"{where}-{machine}"}
            return facts | {"size": path.stat().st_size, "sha256": digest}
    return None


def _version() -> str:
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("pyproject.toml has no version.")
    return found[1]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Path)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("new").add_argument("file", type=Path)
    actions.add_parser("part").add_argument("archives", type=Path, nargs="+")
    release = actions.add_parser("release")
    release.add_argument("folder", type=Path)
    release.add_argument("--notes", type=Path)
    given = parser.parse_args()
    match given.action:
        case "new":
            new_key(given.file)
        case "part":
            for archive in given.archives:
                sign_part(archive, read_key(given.key))
        case "release":
            notes = given.notes.read_text("utf-8") if given.notes else ""
            describe_release(given.folder, _version(), read_key(given.key), notes)


if __name__ == "__main__":
    main()
