"""Whether a repository has changed since it was downloaded: its host is asked for its list of files, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path

from converter.hub.address import MODELSCOPE_PREFIX
from converter.hub.failures import explained
from converter.hub.hosts import KeptToken, find_host
from converter.hub.manifest import commits_of_conversions, read_manifest, read_origin, verified_files
from converter.hub.request import Newer

_MODEL_FILES = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".json", ".jinja", ".model", ".txt")
"""Endings of what a model is made of: a card that was corrected makes no newer model."""


def look_for_newer(folder: Path, kept_token: KeptToken | None = None) -> Newer | None:
    """Return how a download's repository differs from what is here; None: it does not, or nothing says where it came from.

    Args:
        folder: of the download.
        kept_token: as in `DownloadRequest`.

    Raises:
        ZhiyinError: its host gives no list.
    """
    origin, note = read_origin(folder), read_manifest(folder)
    revision = note.get("revision", "")
    if origin is None or not isinstance(revision, str):
        return None
    on_modelscope = folder.name.startswith(f"modelscope--{origin.repository.replace('/', '--')}")
    endpoint = origin.url.removesuffix(f"/{origin.repository}").removesuffix("/models" if on_modelscope else "")
    prefix = MODELSCOPE_PREFIX if on_modelscope else ""
    host = find_host(prefix + origin.repository, revision, endpoint, token=True, kept_token=kept_token)
    if host.folder != folder.name:  # noted before notes had revisions: nobody knows which one this is
        return None
    with explained(origin.repository, revision, folder, host):
        commit, listed = host.listing()
    digests = {file.name: file.digest for file in listed}
    here = {name: str(entry["digest"]) for name, entry in verified_files(note).items() if name.endswith(_MODEL_FILES)}
    if any(not name.endswith((".json", ".jinja", ".txt")) for name in here):
        changed = tuple(name for name, digest in here.items() if digests.get(name) != digest)
        return Newer(origin.repository, commit, changed) if changed else None
    known = commits_of_conversions(folder)
    return Newer(origin.repository, commit, ()) if known and commit not in known else None
