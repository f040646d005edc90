"""The reference's distributions on disk: measured once for each text, then every quantization of it is held to them.

One file a chunk, named by the reference's files and the chunk's tokens. It is a cache: what is not used for long goes first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from converter.atomic_write import unfinished_folder
from converter.gguf_header import is_gguf, split_parts
from converter.pipeline import ConvertRequest, convert
from converter.progress import ProgressListener
from desktop_app.paths import data_folder, references_folder
from models.errors import BadFile
from models.system_errors import cannot_write
from models.system_reasons import system_reason

_FORMAT = 1
_MOST_BYTES = 2 * 1000**3
"""Of all files together, but for those that are in use."""
_EXACT = "F16"
"""What a checkpoint is converted to where it is the reference: no weight of a model in BF16 is rounded by it, and every
processor computes with it."""


def reference_identity(path: Path) -> str:
    """Name a reference by its files' names, sizes and times.

    Raises:
        BadFile: it is not there.
    """
    try:
        files = sorted(_files(path))
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    if not facts:
        raise BadFile("{path} holds no files; name a GGUF file or a checkpoint's folder.", path=path)
    return blake2b(json.dumps([_FORMAT, str(path.resolve()), facts]).encode("utf-8", "surrogatepass")).hexdigest()


def reference_files(identity: str, chunks: Sequence[Sequence[int]], start: int) -> list[Path]:
    """Return where the distributions of each chunk are or will be; those that are there count as used now."""
    folder = references_folder()
    files = []
    for chunk in chunks:
        key = blake2b(json.dumps([identity, start, list(chunk)]).encode(), digest_size=20).hexdigest()
        files.append(folder / f"{key}.npz")
    for file in files:
        with suppress(OSError):  # the time says when it was used last
            os.utime(file)
    return files


def shrink_references(used: Sequence[Path]) -> None:
    """Remove the distributions that were not used for the longest time, where all together take too much."""
    with suppress(OSError):
        unused = [path for path in references_folder().iterdir() if path.suffix == ".npz" and path not in used]
        together = 0
        for _, size, path in sorted(((p.stat().st_mtime_ns, p.stat().st_size, p) for p in unused), reverse=True):
            together += size
            if together > _MOST_BYTES:
                path.unlink()


@contextmanager
def runnable(reference: Path, on_progress: ProgressListener | None = None) -> Iterator[Path]:
    """Lend a GGUF file of a reference: itself, or a checkpoint converted without loss, which is removed afterwards.

    llama.cpp maps it: where it is larger than the memory, its layers are read from the disk again for each part of the text.

    Raises:
        ZhiyinError: it cannot be converted, or the disk is too small; the sentence says how much it needs.
    """
    if reference.is_file() and is_gguf(reference):
        yield reference
        return
    target = data_folder() / "reference.gguf"
    try:
        with unfinished_folder(target) as folder:
            request = ConvertRequest(reference, folder / target.name, _EXACT)
            yield convert(request, on_progress).path
    except OSError as error:
        raise cannot_write(target, error) from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    return split_parts(path) if is_gguf(path) else [path]
