"""Small files of text that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file under a temporary name beside it, then give it its name.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the old file is untouched and nothing else is left.
    """
    stream = tempfile.NamedTemporaryFile(  # noqa: SIM115  (closed below: Windows renames no open file)
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, suffix=".part", delete=False
    )
    try:
        with stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(stream.name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(stream.name).unlink()
        raise
