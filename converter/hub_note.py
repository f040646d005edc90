"""The note that a download leaves in its folder: where the files came from, and what each must be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTE = ".hub.json"


@dataclass(frozen=True)
class Origin:
    """Where a folder of downloaded files came from."""

    repository: str
    """ORG/NAME."""
    url: str


def read_note(folder: Path) -> dict[str, Any]:
    """Return a folder's note; {}: there is none that can be read."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def read_origin(folder: Path) -> Origin | None:
    """Return where a folder was downloaded from; None: it was not."""
    note = read_note(folder)
    repository, endpoint = note.get("repository"), note.get("endpoint")
    if not isinstance(repository, str) or not isinstance(endpoint, str):
        return None
    return Origin(repository, f"{endpoint}/{repository}")
