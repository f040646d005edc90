"""Fetches one file over HTTP: goes on where an earlier run stopped, checks the digest, gives the name last.

huggingface-hub 2.x throws a partial file away whenever a download fails (`_download_to_tmp_and_move`) and checks sizes only, so
the transfer itself is here; addresses, sessions, tokens and the Hub's errors are huggingface-hub's. It is plain HTTP, which
mirrors serve too, in ranges: the Hub's content network refuses answers above 50 GB.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import get_session
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # public by its documentation

from converter.hub.selection import RemoteFile
from models.errors import BadFile, ZhiyinError

_CHUNK = 1024 * 1024
_RANGE = 8 * 1024**3
"""Most bytes of one answer."""
_MOST_SMALL = 32 * 1024**2
"""Bytes of a configuration or an index."""
_SECONDS = 30.0
"""Longest silence of a server."""
_ATTEMPTS = 5
"""In a row, without a single new byte."""
PAUSE = 1.0
"""Seconds before the first new attempt; each further one waits twice as long."""
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class Interrupted(ZhiyinError):
    """The connection was lost for good; what came is kept."""


def digest_of(path: Path, file: RemoteFile) -> str:
    """Return the digest of a local file, of the kind that the Hub gave for it."""
    digest = _digest(file)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return str(digest.hexdigest())


def partial_path(target: Path, file: RemoteFile) -> Path:
    """Return where the bytes of an unfinished file are: another content has another name."""
    return target.with_name(f".{target.name}.{file.digest[:16]}.part")


def fetch(
    url: str,
    headers: Mapping[str, str],
    file: RemoteFile,
    target: Path,
    count: Callable[[int], None],
    check: Callable[[], None],
) -> None:
    """Fetch a file and give it its name when its digest is right.

    Args:
        url: where it is.
        headers: for every request.
        file: what it must be.
        target: its path.
        count: told of bytes that came; a negative number when some must come again.
        check: called between chunks and while waiting; raises to stop, which keeps what came.

    Raises:
        Interrupted: the server could not be reached, several times in a row.
        BadFile: the content is not what the Hub lists.
        HfHubHTTPError: the server refuses.
        OSError: the disk is full, or cannot be written.
    """
    partial = partial_path(target, file)
    transfer = _Transfer(url, headers, file, partial, count, check)
    transfer.run()
    if transfer.digest.hexdigest() != file.digest:
        partial.unlink()
        count(-file.size)
        raise BadFile(
            "{name} came with another content than the Hub lists (its checksum differs) and was thrown away; run "
            "the same command again, or choose another --endpoint.",
            name=target.name,
        )
    partial.replace(target)


def read_small(url: str, headers: Mapping[str, str], file: RemoteFile) -> bytes:
    """Return the bytes of a small file, which is not kept.

    Raises:
        BadFile: it is larger than any configuration, or the content is not what the Hub lists.
        HfHubHTTPError: the server refuses.
        httpx2.TransportError: the server cannot be reached.
    """
    if file.size > _MOST_SMALL:
        raise BadFile(
            "{name} is larger than {count} MB, which is none; choose another repository.",
            name=file.name,
            count=_MOST_SMALL // 1024**2,
        )
    data = bytearray()
    with get_session().stream("GET", url, headers=dict(headers), timeout=_SECONDS) as response:
        hf_raise_for_status(response)
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > file.size:
                break
    digest = _digest(file)
    digest.update(data)
    if digest.hexdigest() != file.digest:
        raise BadFile(
            "{name} came with another content than the Hub lists; try again, or choose another --endpoint.",
            name=file.name,
        )
    return bytes(data)


def read_part(url: str, headers: Mapping[str, str], first: int, last: int) -> bytes:
    """Return some bytes of a file, the last one included; nothing vouches for them before the whole file is here.

    Raises:
        BadFile: the server sends whole files only.
        HfHubHTTPError: it refuses.
        httpx2.TransportError: it cannot be reached.
    """
    headers = {**headers, "Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
    with get_session().stream("GET", url, headers=headers, timeout=_SECONDS) as response:
        hf_raise_for_status(response)
        if not _is_part(response):
            raise BadFile(
                "{host} sends whole files only, no beginnings of them; fetch the model first (zhiyin pull), then "
                "ask again with its name.",
                host=urlsplit(url).hostname,
            )
        if not response.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
            raise _other_part()
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > last - first:
                break
    if len(data) <= last - first:
        raise httpx2.RemoteProtocolError("the connection was closed early")
    return bytes(data[: last + 1 - first])


class _Transfer:
    """One file on its way."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        file: RemoteFile,
        partial: Path,
        count: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self._url = url
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._file = file
        self._partial = partial
        self._count = count
        self._check = check
        self._have = 0
        self.digest = _digest(file)

    def run(self) -> None:
        """Fetch until all bytes are there, in as many attempts as it takes while there is progress."""
        with self._partial.open("a+b") as stream:
            self._read_what_is_there(stream)
            failures = 0
            while self._have < self._file.size:
                before = self._have
                try:
                    self._request(stream)
                except (httpx2.TransportError, HfHubHTTPError) as error:
                    if isinstance(error, HfHubHTTPError) and error.response.status_code not in _TEMPORARY:
                        raise
                    failures = 0 if self._have > before else failures + 1
                    if failures >= _ATTEMPTS:
                        raise Interrupted(
                            "{name} stopped at {have} of {size} bytes ({reason}); what came is kept: run the same "
                            "command again and it goes on from there.",
                            name=self._file.name,
                            have=self._have,
                            size=self._file.size,
                            reason=_reason(error),
                        ) from error
                    self._wait(PAUSE * 2**failures)
            stream.flush()
            os.fsync(stream.fileno())

    def _read_what_is_there(self, stream: Any) -> None:
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            self._check()
            self.digest.update(chunk)
            self._have += len(chunk)
        if self._have > self._file.size:
            self._start_again(stream)

    def _request(self, stream: Any) -> None:
        """Ask for the bytes that are missing and write what comes."""
        last = min(self._have + _RANGE, self._file.size) - 1
        headers = {**self._headers, "Range": f"bytes={self._have}-{last}"}
        with get_session().stream("GET", self._url, headers=headers, timeout=_SECONDS) as response:
            hf_raise_for_status(response)
            if not _is_part(response):
                last = self._file.size - 1  # the server sends the whole file, from its start
                self._start_again(stream)
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {self._have}-"):
                raise _other_part()
            for chunk in response.iter_bytes():
                self._check()
                piece = chunk[: last + 1 - self._have]
                stream.write(piece)
                self.digest.update(piece)
                self._have += len(piece)
                self._count(len(piece))
                if self._have > last:
                    break  # whatever else a server sends is not of this file
        if self._have <= last:
            raise httpx2.RemoteProtocolError("the connection was closed early")

    def _start_again(self, stream: Any) -> None:
        stream.seek(0)
        stream.truncate()
        self._count(-self._have)
        self._have = 0
        self.digest = _digest(self._file)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, 0.1))


def _digest(file: RemoteFile) -> Any:
    """Return the hash that the Hub lists: SHA-256 for large files, git's own for small ones."""
    if len(file.digest) == hashlib.sha256().digest_size * 2:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _is_part(response: httpx2.Response) -> bool:
    """Tell whether an answer is the part that was asked for; ModelScope sends parts with status 200."""
    return response.status_code == httpx2.codes.PARTIAL_CONTENT or "Content-Range" in response.headers


def _other_part() -> httpx2.RemoteProtocolError:
    return httpx2.RemoteProtocolError("it sent another part of the file than asked for")


def _reason(error: Exception) -> str:
    if isinstance(error, HfHubHTTPError):
        return f"the server answered {error.response.status_code}"
    return str(error) or type(error).__name__
