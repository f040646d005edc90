"""Origins of models: the repository, and the host's hash."""

from __future__ import annotations

import re
from pathlib import Path

from converter.hub.cleanup import fetched_folder
from converter.hub.manifest import conversions_by_source, converted_from, read_manifest, read_origin, verified_files

_SHA256 = re.compile("[0-9a-f]{64}")
_CACHED = re.compile(r"models--(?P<organisation>.+?)--(?P<name>.+)")
"""A repository's folder in the cache of huggingface_hub."""


class Origins:
    """The origins in the downloads' manifests, read once."""

    def __init__(self, downloads: Path) -> None:
        """`downloads` is the folder of all downloads."""
        self._downloads = downloads
        self._made: dict[Path, str] = {}
        for folder in sorted(downloads.iterdir()) if downloads.is_dir() else ():
            origin = read_origin(folder)
            if origin is not None:
                self._made |= dict.fromkeys(converted_from(folder), origin.repository)

    def of(self, path: Path) -> tuple[str, str]:
        """Return the repository that a model came from and its file's SHA-256; "": not known."""
        if path in self._made:
            return self._made[path], ""
        folder = fetched_folder(path, self._downloads)
        if folder is not None:
            origin = read_origin(folder)
            noted = (
                verified_files(read_manifest(folder)).get(path.relative_to(folder).as_posix())
                if folder in path.parents
                else None
            )
            return origin.repository if origin is not None else "", _sha256(str(noted["digest"])) if noted else ""
        return self._of_cache(path)

    def _of_cache(self, path: Path) -> tuple[str, str]:
        for folder in path.parents:
            match = _CACHED.fullmatch(folder.name)
            if match is not None and folder / "snapshots" in path.parents:
                return f"{match['organisation']}/{match['name']}", _sha256(path.resolve().name)
        return "", ""


def checkpoint_of(model: Path, downloads: Path) -> Path | None:
    """Return the checkpoint that a model was converted from, where its download is still here."""
    for folder in sorted(downloads.iterdir()) if downloads.is_dir() else ():
        for file, made in conversions_by_source(folder).items():
            source = folder / file if file else folder
            if model in made and source.exists():
                return source
    return None


def _sha256(text: str) -> str:
    return text if _SHA256.fullmatch(text) else ""
