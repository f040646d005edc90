"""The headers of GGUF files that lie on a Hub: what a model is and the size of each tensor, without fetching any weights.

Most of a header is the vocabulary, some megabytes; the files of one repository have the same. It is read of the first of them; of
the others only what lies around it, a few hundred kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from converter.gguf_header import GGUFHeader, Spans, read_remote_header
from converter.hub.network_errors import BadAnswer
from converter.hub.selection import RemoteFile, RemoteHeaders
from models.errors import BadFile, UnsupportedModel, ZhiyinError

_BLOCK = 64 * 1024
_LARGEST_BLOCK = 2 * 1024**2
_MOST = 64 * 1024**2
"""Bytes of one header: several times those of the largest vocabularies."""
_MOST_TOGETHER = 256 * 1024**2
"""Bytes of all headers of a repository."""
_CONNECTIONS = 4
_OF_THE_FILE = (BadFile, UnsupportedModel, BadAnswer)
"""What is wrong with one file; other errors are of the connection to all of them."""

ReadPart = Callable[[RemoteFile, int, int], bytes]
"""Fetches bytes of a file: the first and the last, which is included."""


def read_headers(
    repository: str, models: Mapping[str, Sequence[RemoteFile]], read: ReadPart, stop: Callable[[], None]
) -> tuple[RemoteHeaders, tuple[ZhiyinError, ...]]:
    """Read the headers of several files of a repository.

    Args:
        repository: its name, for sentences.
        models: by their quant, each with all its parts.
        read: fetches; called by several threads.
        stop: ends what `read` does on other threads.

    Returns:
        the headers that can be read, and why every other one cannot be.
    """
    first, *others = models.values()
    reader = _HeadReader(repository, read)
    heads = [reader.heads_of(first)]
    pool = ThreadPoolExecutor(_CONNECTIONS)
    try:
        heads += pool.map(reader.heads_of, others)
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    headers = {quant: header for quant, header in zip(models, heads, strict=True) if isinstance(header, tuple)}
    return headers, tuple(error for error in heads if isinstance(error, ZhiyinError))


class _HeadReader:
    """Reads headers of one repository's files, so many bytes at most."""

    def __init__(self, repository: str, read: ReadPart) -> None:
        self._repository = repository
        self._read = read
        self._spans: Spans = {}
        self._fetched = 0

    def heads_of(self, parts: Sequence[RemoteFile]) -> tuple[GGUFHeader, ...] | ZhiyinError:
        """Return the headers of a model's parts, or what is wrong with one."""
        try:
            return tuple(self._header(part) for part in parts)
        except _OF_THE_FILE as error:
            return error

    def _header(self, file: RemoteFile) -> GGUFHeader:
        path = Path(self._repository, file.name)
        try:
            return read_remote_header(path, _RemoteBytes(path, file, self._fetch), self._spans)
        except _OF_THE_FILE:
            if not self._spans:
                raise
            # Perhaps its vocabulary is another one with the same number of tokens.
            return read_remote_header(path, _RemoteBytes(path, file, self._fetch), {})

    def _fetch(self, file: RemoteFile, first: int, last: int) -> bytes:
        self._fetched += last + 1 - first  # by several threads: near enough for a limit
        if self._fetched > _MOST_TOGETHER:
            raise BadAnswer(
                "{name} has files whose headers take more than {count} MB together, which none do; choose another "
                "repository.",
                name=self._repository,
                count=_MOST_TOGETHER // 1024**2,
            )
        return self._read(file, first, last)


class _RemoteBytes:
    """A file's bytes, fetched in blocks as they are asked for; only the last one is kept."""

    def __init__(self, path: Path, file: RemoteFile, read: ReadPart) -> None:
        self._path, self._file, self._read = path, file, read
        self._start, self._block = 0, b""
        self._size = _BLOCK
        self._fetched = 0

    def __len__(self) -> int:
        return self._file.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._file.size)
        if start < self._start or stop > self._start + len(self._block):
            self._fetch(start, stop)
        return self._block[start - self._start : stop - self._start]

    def _fetch(self, start: int, stop: int) -> None:
        goes_on = self._start < start <= self._start + len(self._block)
        self._size = min(2 * self._size, _LARGEST_BLOCK) if goes_on else _BLOCK
        stop = min(max(stop, start + self._size), self._file.size)
        self._fetched += stop - start
        if self._fetched > _MOST:
            raise BadFile(
                "{path} has a header of more than {count} MB, which is none; choose another file.",
                path=self._path,
                count=_MOST // 1024**2,
            )
        self._start, self._block = start, self._read(self._file, start, stop - 1) if stop > start else b""
