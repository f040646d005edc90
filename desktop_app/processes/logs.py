"""Log files of our processes, for a bug report; dropped where nothing can be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from desktop_app.paths import log_file
from models.errors import ZhiyinError

_LIMIT = 4 * 1024 * 1024
"""Bytes; a longer log begins anew."""


def open_log(name: str) -> BinaryIO:
    """Open a log for writing at its end: nothing fails because a data folder is read-only, or its disk full.

    Raises:
        ZhiyinError: something else is in its place.
    """
    try:
        path = log_file(name)
    except ZhiyinError:
        return Path(os.devnull).open("wb")
    if path.is_dir():
        raise ZhiyinError(
            "The {name}'s log {path} cannot be written, because it is a folder; move it away.", name=name, path=path
        )
    try:
        return path.open("wb" if path.exists() and path.stat().st_size > _LIMIT else "ab")
    except OSError:
        return Path(os.devnull).open("wb")
