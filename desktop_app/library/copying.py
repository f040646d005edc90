"""A GGUF file, with all of its parts, copied into the models folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from converter.atomic_write import sync, unfinished_folder
from converter.gguf_header import model_path, read_gguf_header, split_parts
from desktop_app.library.description import described
from desktop_app.library.file_names import exists
from models.errors import BadFile
from models.regular_file import open_regular
from models.system_reasons import system_reason

_COPIED_AT_ONCE = 4 * 1024 * 1024


def copy_model(path: Path, into: Path) -> Path:
    """Copy all parts of a model; the first gets its name last, so that the model is there when it is whole."""
    parts = split_parts(path)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(model_path(into / path.name)) as work:
            for part in parts:
                if exists(target := into / part.name):
                    raise BadFile("{path} is there already; remove it first or rename the new file.", path=target)
            for part in parts:
                _copy_file(part, work / part.name)
            described(read_gguf_header(work / path.name, arrays=False))
            for part in reversed(parts):
                (work / part.name).replace(into / part.name)
    except OSError as error:
        raise BadFile(
            "{path} could not be copied to {folder}: {reason}.",
            path=path,
            folder=into,
            reason=system_reason(error),
        ) from error
    return into / path.name


def _copy_file(source: Path, target: Path) -> None:
    with open_regular(source) as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, _COPIED_AT_ONCE)
        writing.flush()
        sync(writing.fileno())
