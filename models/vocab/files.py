"""Reading the small files of a tokenizer, which are untrusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import BadFile

_LARGEST = 256 * 1024 * 1024


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises `BadFile` when it cannot be read or is absurdly large."""
    try:
        if path.stat().st_size > _LARGEST:
            raise BadFile("{path} is larger than 256 MB, which no tokenizer is; download it again.", path=path)
        return path.read_bytes()
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object; raises `BadFile` when it is anything else."""
    try:
        value = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise BadFile("{path} is not valid JSON ({reason}); download it again.", path=path, reason=error) from error
    if not isinstance(value, dict):
        raise BadFile("{path} does not hold a JSON object; download it again.", path=path)
    return value
